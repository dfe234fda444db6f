"""Batches: what lies in a batch's folder in the store, and how it is read and written."""
