"""Devices: the device that a model is placed on, and the CPU core that an engine's thread is pinned to."""
