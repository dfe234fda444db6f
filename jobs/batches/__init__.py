"""Batches are folders in the store. The modules here name, read and write the files in them."""
