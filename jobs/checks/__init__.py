"""Checks of content: small pure functions of a request and its output, without a model and without a network."""
