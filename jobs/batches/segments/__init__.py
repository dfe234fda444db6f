"""Segments are immutable files of attempt outcomes. Here are their heads, their lines, and how small ones are put together."""
