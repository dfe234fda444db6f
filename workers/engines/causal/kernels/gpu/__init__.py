"""Kernels for GPUs, written in Triton: decode attention."""
