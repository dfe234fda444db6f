"""The queues that `bench/lanes.py` compares. Each queue is a separate program, so that it can have its own environment."""
