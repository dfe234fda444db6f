"""Results: published rows, written as people and programs want them.

A row comes in as `output.jsonl` or `errors.jsonl` has it, and one at a time: no form holds a batch in memory. `jsonl` is the
published file itself, byte for byte; all other forms are made of it.
"""

from enum import StrEnum


class ResultForm(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"
    OPENAI = "openai"
    PARQUET = "parquet"


__all__ = ["ResultForm"]
