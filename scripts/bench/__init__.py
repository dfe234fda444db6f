"""Benchmarks: what Nightpress takes, alone and beside others. Each says at its head how it is run."""
