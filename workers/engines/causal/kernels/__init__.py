"""Kernels: matrix products, small layers and decode attention, each written for one kind of processor."""
