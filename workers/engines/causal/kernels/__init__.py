"""Kernels: the products and the attention of a step, written for one kind of processor."""
