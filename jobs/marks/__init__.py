"""Finds the marks of a text, which a translation keeps as they are, masks them for a model, and puts them back."""
