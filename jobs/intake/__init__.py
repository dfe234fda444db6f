"""Intake: rows of a file become an accepted batch in the store."""
