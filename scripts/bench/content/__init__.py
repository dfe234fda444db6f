"""Benchmarks of what is written: the texts of a batch."""
