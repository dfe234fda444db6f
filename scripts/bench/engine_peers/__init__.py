"""The engines that `bench/engines.py` compares. Each engine is a separate program, so that it can have its own environment."""
