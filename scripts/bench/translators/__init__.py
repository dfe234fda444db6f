"""Benchmarks of engines for models made for translation."""
