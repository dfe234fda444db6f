"""The checks of a label that was chosen for a text."""
