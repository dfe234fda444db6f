"""Formats: how rows stand in files, on the way in and on the way out.

    source     any file, URL or standard input, decompressed, as UTF-8 bytes
    detection  which format it is, by its content
    delimited, openai_batch, parquet (and ../json_lines)    a file's records: what a row says, before a kind reads it
    cells      what the text of a CSV's cell means, by the type of its field
    results    what was generated, written as jsonl, csv, markdown, openai or parquet

A format knows how a row is written and nothing of what it means. What is wrong with one row becomes that row's fault; only
what is wrong with a file as a whole (a header of unknown columns, a truncated archive) is an error.
"""
