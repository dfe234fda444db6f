"""Reads and writes what translation tools exchange: memories in TMX, and terms in TBX. Both stream, and refuse hostile XML."""
