"""Reads string tables, which have a column of texts and a column for each language: CSV and workbooks."""
