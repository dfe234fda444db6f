"""Checks: what we run by hand beside the tests, since it takes long or breaks things."""
