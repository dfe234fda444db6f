"""The forms in which results are written."""

from enum import StrEnum


class ResultForm(StrEnum):
    """A form of results, as `--format` names it."""

    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"
    OPENAI = "openai"
    PARQUET = "parquet"
    DOCUMENT = "document"
    """The documents that were enqueued, each in its target languages."""
