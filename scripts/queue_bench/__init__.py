"""The queues that `bench_queue.py` compares, each a program of its own, so that each has its own environment."""
