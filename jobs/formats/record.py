"""A record: what one row of an input file says, in whatever format it was written."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from jobs.formats.json_lines import Finding


class InputFormat(StrEnum):
    """How an input file is written."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"
    PARQUET = "parquet"


class Record(NamedTuple):
    """One row as it was read.

    Attributes:
        line: Where it begins, from 1.
        raw: Its bytes. Two records that differ in nothing else are the same row.
        values: Its fields by the names that requests have, or why there are none.
        places: The names that fields have in the file, where they are others: messages use these.
        custom_id: Whose the row is, where it has no values and its name can be read all the same.
        remarks: By name, what to say of a field that turns out to be of the wrong type.
    """

    line: int
    raw: bytes
    values: Mapping[str, Any] | Finding
    places: Mapping[str, str] = {}
    remarks: Mapping[str, str] = {}
    custom_id: Any = None

    def place(self, field: str | None) -> str | None:
        """The path of a field as the file has it."""
        if field is None:
            return None
        name, dot, rest = field.partition(".")
        return self.places.get(name, name) + dot + rest

    def as_said(self, finding: Finding) -> Finding:
        """What a reader found, in the words of the file."""
        remark = self.remarks.get(finding.field or "") if finding.code == "wrong_type" else None
        return Finding(finding.code, self.place(finding.field), finding.message if remark is None else remark)
