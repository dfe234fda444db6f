"""Checks of any text: its language, repeats, what a model adds, invented facts, personal data and secrets."""
