"""The engines that `bench_engines.py` compares, each a program of its own, so that each has its own environment."""
