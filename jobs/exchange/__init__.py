"""Reads and writes what other programs exchange: translation memories in TMX, terms in TBX, and cells of spreadsheets."""
