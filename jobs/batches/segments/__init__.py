"""Segments: immutable files of attempt outcomes, their heads, their lines, and how small ones are put together."""
