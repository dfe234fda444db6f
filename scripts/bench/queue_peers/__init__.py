"""The queues that `bench/lanes.py` compares. Each is a program, so that each can have its own environment."""
