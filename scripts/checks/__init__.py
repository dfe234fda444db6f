"""Checks that we run by hand, and not with the tests, because they take long or break things."""
