"""The formats of input files. The help of commands lists them, so this module imports no other, to load fast."""

from enum import StrEnum


class InputFormat(StrEnum):
    """A format of input files, as `--format` names it."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"
    PARQUET = "parquet"
