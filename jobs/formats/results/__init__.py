"""Results: published rows, written as people and programs want them.

A row comes in as `output.jsonl` or `errors.jsonl` has it, and one at a time: no form holds a batch in memory. `jsonl` is the
published file itself, byte for byte; all other forms are made of it.
"""
