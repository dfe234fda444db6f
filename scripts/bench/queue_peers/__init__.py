"""The queues that `bench/lanes.py` compares, each a program of its own, so that each has its own environment."""
