"""Segments are immutable files of attempt outcomes. The modules here write, read and compact them."""
