"""Benchmarks of Nightpress, alone and beside other systems. The docstring of each script says how to run it."""
