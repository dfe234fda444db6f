"""Devices: on which device a model is placed, and which cores a worker's threads are pinned to."""
