"""Checks that we run by hand. They are not part of the tests, because they take long or break things."""
