"""Results: writes published rows in the forms that people and programs want.

A row comes as a line of `output.jsonl` or `errors.jsonl`, one at a time, so no form holds a batch in memory. The form `jsonl`
is the published file itself, byte for byte; all others are made from it.
"""
