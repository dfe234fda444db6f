"""Staging: keeps the rows of an input on local disk until the input ends, since the id of the batch depends on all rows.

The disk holds a file for each lane, the refused rows, and a table of custom_ids if there are many. Memory holds the hash of all
rows, counts, and a bounded number of faults and custom_ids. This module knows nothing of the store.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from jobs.batches.batch import InputLayout, LaneInput
from jobs.batches.refused import UNREAD, RefusedRow
from jobs.batches.request_row import RowRequest
from jobs.batches.segments.line import EVERY_ROUND, Outcome
from jobs.formats.columns.names import listed
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import Finding, is_object
from jobs.formats.record import Record
from jobs.intake.documents.staged import StagedDocuments
from jobs.intake.names import NAMES_IN_MEMORY, Names
from jobs.intake.refusals import AllRefused, FaultGroups
from jobs.intake.remembering import RowLookup
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowReader
from jobs.intake.sampling import Sampler
from jobs.settings import Settings
from jobs.store.checksum import with_checksum

SHOWN_FAULTS: Final = 10_000
"""At most this many faults are kept in memory, to be shown. The file of refused rows holds all faults."""

REMARKS: Final = 20
"""At most this many different remarks of kinds are counted."""

TOO_LARGE_CHARACTERS: Final = 100_000
"""The file to correct has this many characters of a row that is too large."""

EXTRA_COLUMNS: Final = 1_000
"""At most about this many columns that were taken along become columns of results. The metadata has all columns that were taken
along.
"""

_OF_COLUMNS: Final = frozenset({"unknown_field", "missing_field"})
"""Codes of faults that may go away with another choice of columns."""
_DUPLICATE: Final = "duplicate_custom_id"
_REFUSED: Final = "refused.jsonl"
_MARKED: Final = "refused-marked.jsonl"
"""`_REFUSED` is the file of the refused rows, written while the input is read. `_MARKED` is a copy of `_REFUSED`, written when
all custom_ids are known. In the copy, an error may have the mark `custom_id_of_line`.
"""


class Staging:
    """Keeps the rows of one input on disk. First call `fill`, then `close`, then read the rows back.

    `documents` are the documents whose segments are the rows; None if the rows came as rows.

    Args:
        folder: The folder for the files of this object; the caller removes the folder.
        settings: The settings, which know the lane of a model.
        names_in_memory: At most this many custom_ids are kept in memory.
        memory: Adds to each row what the translation memory knows of it. This object closes it.
        sampler: Chooses the rows by which the batch may be quoted; None if it is not to be quoted.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        names_in_memory: int = NAMES_IN_MEMORY,
        memory: RowLookup | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.sampler = sampler
        self.rows = 0
        self.refused = 0
        self.faults: list[RowFault] = []
        self.kinds: dict[str, int] = {}
        self.codes: dict[str, int] = {}
        self.extra: dict[str, None] = {}
        self.remarks: dict[str, int] = {}
        self.glossaries: Mapping[str, str] = {}
        self._groups = FaultGroups()
        self._advice = ""
        self._folder = folder
        self._settings = settings
        self._files = ExitStack()
        self._names = Names(folder / "names.sqlite", names_in_memory, self._files)
        self._lanes: dict[str, _Lane] = {}
        self._memory = memory
        if memory is not None:
            self._files.callback(memory.close)
        self._lane_of_model: dict[str, _Lane] = {}
        self._refused = self._files.enter_context((folder / _REFUSED).open("wb"))
        self._as_they_came = self._files.enter_context(self.as_they_came.open("wb"))
        self.layout: InputLayout | None = None
        self.documents: StagedDocuments | None = None
        self._hash = hashlib.sha256()

    @property
    def as_they_came(self) -> Path:
        """The path of the refused rows as they came, from which a file to correct is made."""
        return self._folder / "refused-as-they-came.jsonl"

    def fill(self, records: Iterable[Record], reader: RowReader, limit: int | None) -> None:
        """Take in all records, or the first `limit`."""
        for record in islice(records, limit):
            result = reader.read(record, self.rows)
            if isinstance(result, RowRequest):
                result = self._unless_named_before(result, record)
            if isinstance(result, RowRequest):
                self._keep(result)
                if reader.remark is not None and (reader.remark in self.remarks or len(self.remarks) < REMARKS):
                    self.remarks[reader.remark] = self.remarks.get(reader.remark, 0) + 1
                if record.extra and len(self.extra) < EXTRA_COLUMNS:
                    self.extra.update(dict.fromkeys(record.extra))
            else:
                self._refuse(result, record)
                if not self._advice and result.code in _OF_COLUMNS and not isinstance(record.values, Finding):
                    columns = record.columns or tuple(record.values)
                    self._advice = f"The columns are {listed(columns)}. {reader.advice(columns, result.kind)}"
            self.rows += 1
        if self._memory is not None and self._memory.remark is not None:
            self.remarks[self._memory.remark] = self._memory.rows_without

    def require_rows(self) -> None:
        """Raise AllRefused if every row was refused."""
        if self.refused == self.rows:
            raise AllRefused(self.faults, self.refused, self._groups.largest_first(), self._advice)

    @property
    def lanes_with_memory(self) -> Collection[str]:
        """The lanes with rows that the translation memory may know, so that another intake may write their files otherwise."""
        return {name for name, lane in self._lanes.items() if lane.has_memory}

    def close(self) -> None:
        """Write everything to disk, and close the files."""
        self._refused.flush()
        self._mark_shared_names()
        self._files.close()

    def sha256(self, *more: object) -> str:
        """Return the sha256 of all rows in their order and of `more`, in hex."""
        whole = self._hash.copy()
        whole.update(orjson.dumps(more, option=orjson.OPT_SORT_KEYS))
        return whole.hexdigest()

    def lanes(self) -> Mapping[str, LaneInput]:
        """Return lane -> its rows, bytes and hash."""
        return {name: lane.input() for name, lane in sorted(self._lanes.items())}

    def lane_path(self, lane: str) -> Path:
        """Return the path of the file with the requests of a lane."""
        return self._folder / f"lane-{lane}.jsonl"

    def refused_outcomes(self) -> Iterator[Outcome]:
        """Yield an outcome for each refused row: a final failure, which counts in every round."""
        with (self._folder / _MARKED).open("rb") as file:
            for raw in file:
                row, kind, custom_id, error = orjson.loads(raw)
                yield Outcome(row, EVERY_ROUND, 0, "", "failed", True, kind, custom_id, error=error)

    def _mark_shared_names(self) -> None:
        """Copy the refused rows. If another row has the custom_id of a refused row, the copy's error names the other row's line.

        An error with the code `duplicate_custom_id` is copied unchanged: its message names the other line already. The copy is
        made at the end of the input, when all accepted rows have taken their custom_ids. Only then is it known whether an
        accepted row has the custom_id of a row that was refused before it.
        """
        with (self._folder / _REFUSED).open("rb") as refused, (self._folder / _MARKED).open("wb") as marked:
            for raw in refused:
                row, kind, custom_id, error = orjson.loads(raw)
                line = None if custom_id is None else self._names.take(custom_id, error["line"])
                if line is not None and error["code"] != _DUPLICATE:
                    error["custom_id_of_line"] = line
                marked.write(orjson.dumps([row, kind, custom_id, error]) + b"\n")

    def _unless_named_before(self, request: RowRequest, record: Record) -> RowRequest | RowFault:
        """Return the request, or a fault if an accepted row before it has the same custom_id.

        If only a refused row before it has the same custom_id, the request is returned.
        """
        if request.custom_id is None:
            return request
        line = self._names.take(request.custom_id, request.line)
        if line is None:
            return request
        message = f"line {line} has the custom_id {request.custom_id!r} already: give this row another"
        fault = (request.row, request.line, _DUPLICATE, message, record.path_in_file("custom_id"))
        return RowFault(*fault, request.kind, request.custom_id)

    def _keep(self, request: RowRequest) -> None:
        if (lane := self._lane_of_model.get(request.model)) is None:
            lane = self._new_lane(request.model)
        line = request._replace(most=None).to_bytes()
        self._hash.update(line + b"\n")  # without its checksum, its most tokens, and the memory (rule 4)
        if request.most is not None:
            line = request.to_bytes()
        if self._memory is not None and self._memory.has_memory(request.kind):
            request = self._memory.with_memory(request)
            line = request.to_bytes()
            lane.has_memory = True
        stored = with_checksum(line) + b"\n"
        offset = lane.add(stored, request.cost)
        if self.sampler is not None:
            self.sampler.add(request, lane.name, offset, len(stored))
        self.kinds[request.kind] = self.kinds.get(request.kind, 0) + 1

    def _new_lane(self, model: str) -> "_Lane":
        name = self._settings.lane_of(model)
        if name not in self._lanes:
            file = self._files.enter_context(self.lane_path(name).open("wb", buffering=1 << 20))
            self._lanes[name] = _Lane(name, model, file)
        self._lane_of_model[model] = self._lanes[name]
        return self._lanes[name]

    def _refuse(self, fault: RowFault, record: Record) -> None:
        raw = record.raw
        self.refused += 1
        self._keep_as_it_came(fault, record)
        self.codes[fault.code] = self.codes.get(fault.code, 0) + 1
        self._groups.add(fault)
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(fault)
        self._refused.write(orjson.dumps([fault.row, fault.kind, fault.custom_id, fault.error]) + b"\n")
        # The hash covers the row's bytes and not the message, whose words may change between releases.
        refusal = [fault.row, fault.line, fault.code, fault.field, hashlib.sha256(raw).hexdigest()]
        self._hash.update(orjson.dumps(refusal) + b"\n")

    def _keep_as_it_came(self, fault: RowFault, record: Record) -> None:
        """Keep a refused row for the file to correct. A CSV row without cells, or other text that is no object, is unread."""
        form, columns, delimiter = record.layout
        cells, is_csv = record.cells, record.layout.form is InputFormat.CSV
        is_unread = fault.field == UNREAD or cells is None if is_csv else not is_object(record.raw)
        text = record.raw.decode(errors="replace") if is_unread or not is_csv else ""
        if fault.code == "row_too_large":  # the rest of the row was not read
            text = f"{text[:TOO_LARGE_CHARACTERS]}\N{HORIZONTAL ELLIPSIS}"
        has_unread = is_unread or (self.layout is not None and self.layout.has_unread)
        if self.layout is None or self.layout.has_unread != has_unread:
            self.layout = InputLayout(
                form=form.value, columns=tuple(columns), delimiter=delimiter, has_unread=has_unread
            )
        kept = RefusedRow(fault.row, fault.line, fault.custom_id, str(fault), text, cells, is_unread)
        self._as_they_came.write(kept.to_line())


class _Lane:
    """The file of one lane, with its counts and its hash."""

    def __init__(self, name: str, model: str, file: BinaryIO) -> None:
        self.name = name
        self._model = model
        self._file = file
        self._rows = 0
        self._bytes = 0
        self._cost = 0
        self._hash = hashlib.sha256()
        self.has_memory = False

    def add(self, line: bytes, cost: int) -> int:
        """Add a line, and return its byte offset."""
        offset = self._bytes
        self._file.write(line)
        self._hash.update(line)
        self._rows += 1
        self._bytes += len(line)
        self._cost += cost
        return offset

    def input(self) -> LaneInput:
        sha256 = self._hash.hexdigest()
        return LaneInput(model=self._model, rows=self._rows, bytes=self._bytes, sha256=sha256, cost=self._cost)
