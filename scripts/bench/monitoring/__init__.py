"""Benchmarks of what a fleet tells about itself: what traces cost a worker, and what metrics cost a fleet."""
