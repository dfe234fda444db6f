"""Checks that compare an output with the text from which it was made."""
