"""Structured answers: the JSON schemas that rows give, and answers that satisfy them."""
