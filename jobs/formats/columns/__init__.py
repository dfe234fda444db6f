"""Decides which column of a file becomes which field of a row.

A column is a column of a table, or a key of a JSON object. The options `--map`, `--extra`, `--header` and `--header-row` choose
the columns. Without them a column becomes the field of the same name.
"""
