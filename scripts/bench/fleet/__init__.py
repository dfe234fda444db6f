"""Benchmarks of many workers at once: what they cost while they have nothing to do, and how fast they begin."""
