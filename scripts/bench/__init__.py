"""Benchmarks of Nightpress, alone and beside other systems. The head of each script says how to run it."""
