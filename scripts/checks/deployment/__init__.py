"""Checks of the files in deploy/, by their schemas and by the programs that read them."""
