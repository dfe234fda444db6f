"""Accounts hold what published batches used and were charged, also after the batches are deleted."""
