"""The engines that `bench/engines.py` compares, each a program of its own, so that each has its own environment."""
