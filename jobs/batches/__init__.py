"""Batches are folders in the store: their files are named, read and written here."""
