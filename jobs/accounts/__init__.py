"""Accounts: what was used and charged, kept beyond the batches that it was used by."""
