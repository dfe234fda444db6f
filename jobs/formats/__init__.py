"""Formats: how rows are written in files, as input and as results.

    source        opens any file, URL or standard input, and decompresses it into bytes of UTF-8
    detection     finds out the format of an input by its content
    json_lines, delimited, openai_batch, parquet    read a file's rows as records
    json_documents  cuts a JSON array, or objects over several lines, into rows
    headers       finds the header of a CSV
    columns       puts the values of a row into the fields that the user means
    record        a record: the fields of one row, before a kind checks them
    cells         reads the text of a CSV's cell by the type of its field
    results       writes published rows as jsonl, csv, markdown, openai or parquet

A format knows how a row is written, not what the row means. A fault in one row is recorded in that row. Only a fault in the file
as a whole, such as a header of unknown columns or a truncated archive, is an error.
"""
