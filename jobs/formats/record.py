"""A record: the fields of one row of an input file of any format."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from jobs.batches.refused import REASON, UNREAD
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import Finding

_REASON: Final = re.compile(r"line [0-9]+: [a-z_]+[:( ]")


class Layout(NamedTuple):
    """The format of a file; for a table, also the names of its columns and the delimiter of its cells."""

    form: InputFormat
    columns: Sequence[str] = ()
    delimiter: str = ","


JSON_LINES: Final = Layout(InputFormat.JSONL)
OPENAI: Final = Layout(InputFormat.OPENAI)


class Record(NamedTuple):
    """One row as it was read.

    Attributes:
        line: The number of the row's first line in the file, from 1.
        raw: The bytes of the row. If the row is refused, their hash goes into the id of the batch.
        values: The row's fields by the names that requests have, or a finding if they cannot be read.
        names_in_file: Path of a field in a request -> path of the field in the file, for each field whose two paths differ.
            Messages use the path in the file.
        remarks: Field -> the message that a user gets if the field has the wrong type.
        custom_id: The custom_id of a row whose other fields cannot be read.
        extra: The columns that were copied into the metadata.
        columns: The names of the columns in the file, if they may differ from the keys of `values`.
        layout: The format of the file.
        has_own_reason: Whether the row had a value of its user's own in `nightpress_error`, which is left out.
        cells: The cells of a row of a CSV; None in other formats, and if the row cannot be split into cells.
        document: The name of the document whose segment the row is, which messages begin with; empty for other rows.
    """

    line: int
    raw: bytes
    values: dict[str, Any] | Finding
    names_in_file: Mapping[str, str] = {}
    remarks: Mapping[str, str] = {}
    custom_id: Any = None
    extra: Sequence[str] = ()
    columns: Sequence[str] = ()
    layout: Layout = JSON_LINES
    cells: Sequence[str] | None = None
    has_own_reason: bool = False
    document: str = ""

    def path_in_file(self, field: str | None) -> str | None:
        """Return the path that a field of a request has in the file. If `field` is None, return None."""
        if field is None:
            return None
        name, rest = field, ""
        while name not in self.names_in_file and "." in name:
            name, _, last = name.rpartition(".")
            rest = f".{last}{rest}"
        return self.names_in_file.get(name, name) + rest

    def in_terms_of_file(self, finding: Finding) -> Finding:
        """Return the finding with the path that its field has in the file.

        If the finding is about a wrong type, and there is a remark on the field, the remark becomes the message.
        """
        remark = self.remarks.get(finding.field or "") if finding.code == "wrong_type" else None
        message = finding.message if remark is None else remark
        whole = f"{self.document}: {message}" if self.document else message
        return Finding(finding.code, self.path_in_file(finding.field), whole)


def uncorrected(values: dict[str, Any]) -> Finding | None:
    """Remove the fields that a file to correct adds from a row's values. Returns a finding if the unread text is still there."""
    values.pop(REASON, None)
    text = values.get(UNREAD)
    if text is None or (isinstance(text, str) and not text.strip()):
        values.pop(UNREAD, None)
        return None
    message = "the row is not corrected yet: put its text into the fields of the row, and empty this one"
    return Finding("unknown_field", UNREAD, message)


def has_own_reason(values: Mapping[str, Any]) -> bool:
    """Whether a row has a value of its user's own where a file to correct has the reason. Such a value is left out."""
    reason = values.get(REASON)
    if not isinstance(reason, str):
        return reason is not None
    return bool(reason.strip()) and _REASON.match(reason) is None


def unread(line: int, raw: bytes, finding: Finding) -> Record:
    """Return the record of a line that is refused as a whole, for the reason in `finding`.

    The record has the custom_id of the line, if the custom_id can be read and is not the reason of the refusal.
    """
    if finding.code not in ("duplicate_key", "out_of_range") or finding.field == "custom_id":
        return Record(line, raw, finding)
    return Record(line, raw, finding, custom_id=orjson.loads(raw).get("custom_id"))
