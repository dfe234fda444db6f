"""Checks of any text: language, repeats, what a model adds, what it must not give away."""
