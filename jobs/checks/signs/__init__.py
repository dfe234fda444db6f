"""Finds the parts of a text that are not words: numbers, addresses, placeholders, markup and end marks, each with its place."""
