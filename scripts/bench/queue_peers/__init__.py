"""The queues that `bench/lanes.py` compares. Each is a separate program, so that it can have its own environment."""
