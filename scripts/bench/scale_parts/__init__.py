"""The parts of `scripts/bench/scale.py`."""
