"""Benchmarks of adapters by row."""
