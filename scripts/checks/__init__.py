"""Checks that we run by hand beside the tests, because they take long or break things."""
