"""The forms in which results are written."""

from enum import StrEnum


class ResultForm(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"
    OPENAI = "openai"
    PARQUET = "parquet"
