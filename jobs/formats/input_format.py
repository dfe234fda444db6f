"""The formats of input files. The help of commands lists these formats, so this module must load fast: it imports no other
module of ours.
"""

from enum import StrEnum


class InputFormat(StrEnum):
    """A format of input files, as `--format` names it."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"
    PARQUET = "parquet"
