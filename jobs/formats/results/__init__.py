"""Results: writes published rows in the forms that people and programs want.

Rows come one at a time, as lines of `output.jsonl` or `errors.jsonl`, so no form holds a batch in memory. The form `jsonl`
is the published file itself, byte for byte; all others are made from it.
"""
