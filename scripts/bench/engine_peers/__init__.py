"""The engines that `bench/engines.py` compares. Each is a program, so that each can have its own environment."""
