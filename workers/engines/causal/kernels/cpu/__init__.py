"""Kernels for CPUs, compiled by numba: packed weights, fused layers and decode attention."""
