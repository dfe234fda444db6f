"""Checks of documents over real files, which need more time than a test has."""
