"""Intake: turns the rows of a file into an accepted batch in the store."""
