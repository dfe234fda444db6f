"""Kernels for CPUs: packed products, fused layers and attention, compiled by Numba."""
