"""The formats of input files. No other module is loaded for their names, which the help of commands lists."""

from enum import StrEnum


class InputFormat(StrEnum):
    """A format of input files, as `--format` names it."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"
    PARQUET = "parquet"
