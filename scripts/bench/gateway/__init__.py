"""Benchmarks of the HTTP gateway."""
