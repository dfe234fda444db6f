"""Intake: turns a file of requests into an accepted batch, in bounded memory, whatever the file holds.

A row that cannot be accepted becomes a failed row at once and harms no other; with `strict` the whole file is refused
instead, and nothing is stored. The order of writes makes `batch.json` the acceptance: inputs, then the refused rows, then
`batch.json`, then the hint that it is open. The same rows, options and run key give the same id, and so the same batch.
"""

import hashlib
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from jobs import segment
from jobs.batch import Batch, BatchPaths, LaneInput
from jobs.errors import ConflictError, RequestError
from jobs.job import RowRequest
from jobs.kinds import Kind
from jobs.kinds.registry import load_kinds
from jobs.logs import logger
from jobs.request_lines import MAX_ROW_BYTES, Defaults, LineFault, LineReader
from jobs.rounds import is_open, load_batch, now, to_bytes
from jobs.segment import EVERY_ROUND, Outcome
from jobs.settings import Settings
from jobs.storage import Store

SHOWN_FAULTS: Final = 1_000
SEGMENT_ROWS: Final = 4_096
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How a file is to be read, and what its batch is to be. All of it is part of the batch's id."""

    kind: str | None = None
    model: str | None = None
    set: tuple[str, ...] = ()
    name: str | None = None
    tenant: str | None = None
    priority: int = 4
    deadline: datetime | None = None
    limit: int | None = None
    strict: bool = False

    def typed(self) -> dict[str, str]:
        """Every option that was given, as text."""
        given = {name: getattr(self, name) for name in self.__slots__ if name != "strict"}
        return {name: str(value) for name, value in given.items() if value not in (None, ())}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch, whether this call made it, and the first of the rows that were refused."""

    batch: Batch
    created: bool
    faults: Sequence[LineFault]


class StrictRefused(RequestError):
    """With `strict`, the file has bad lines: nothing was accepted."""

    def __init__(self, faults: Sequence[LineFault], total: int) -> None:
        more = [f"and {total - len(faults):,} more"] if total > len(faults) else []
        head = f"{total:,} bad lines, nothing was accepted:"
        super().__init__("\n".join([head, *(str(fault) for fault in faults), *more]))
        self.faults = faults
        self.total = total


def accept_file(store: Store, path: Path | str, options: IntakeOptions, settings: Settings, run_key: str) -> Accepted:
    """Make a batch of a file; `-` is standard input. Raises RequestError, ConflictError, StoreUnavailable."""
    kinds = load_kinds(settings.templates_dir)
    if str(path) == "-":
        return accept(store, sys.stdin.buffer, options, kinds=kinds, settings=settings, run_key=run_key)
    try:
        with Path(path).open("rb") as lines:
            named = options if options.name else _named(options, Path(path).stem)
            return accept(store, lines, named, kinds=kinds, settings=settings, run_key=run_key)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None


def accept(
    store: Store,
    lines: BinaryIO,
    options: IntakeOptions,
    *,
    kinds: Mapping[str, Kind],
    settings: Settings,
    run_key: str,
    clock: Callable[[], datetime] = now,
) -> Accepted:
    """Make a batch of lines, or find the one that they have made before.

    Raises RequestError when nothing can be accepted, ConflictError when another batch stands under the id.
    """
    with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch:
        spool = _Spool(Path(scratch), settings, options)
        try:
            spool.fill(lines, kinds)
        finally:
            spool.close()
        if not spool.rows:
            raise RequestError("the input holds no rows: give it one JSON object a line")
        if options.strict and spool.refused:
            raise StrictRefused(spool.faults, spool.refused)
        batch = spool.batch(options, run_key, clock())
        created = _write(store, batch, spool)
    if created:
        logger().info("batch.accepted", batch=batch.batch_id, rows=batch.rows, refused=batch.refused)
    return Accepted(load_batch(store, batch.batch_id) or batch, created, spool.faults)


def _named(options: IntakeOptions, name: str) -> IntakeOptions:
    values: dict[str, Any] = {slot: getattr(options, slot) for slot in options.__slots__}
    return IntakeOptions(**{**values, "name": name})


def _write(store: Store, batch: Batch, spool: "_Spool") -> bool:
    """Put everything in its place, `batch.json` last. Returns whether it was this call that made the batch."""
    paths = BatchPaths(batch.batch_id)
    standing = load_batch(store, batch.batch_id)
    if standing is None:
        for lane in batch.lanes:
            with store.writer(paths.input(lane)) as target, spool.lane_path(lane).open("rb") as source:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
        for n, outcomes in enumerate(_chunks(spool.refused_outcomes()), start=1):
            segment.write(store, paths, outcomes, "intake", batch.full_sha256[:12], n)
        created = store.create(paths.acceptance, to_bytes(batch))
        standing = load_batch(store, batch.batch_id) if not created else batch
    else:
        created = False
    if standing is None or standing.full_sha256 != batch.full_sha256:
        raise ConflictError(f"another batch stands under {batch.batch_id}: give this one a --name or a --run-key")
    if is_open(store, batch.batch_id):
        store.create(paths.open_hint, b"")
    return created


def _chunks(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while chunk := list(islice(outcomes, SEGMENT_ROWS)):
        yield chunk


@dataclass
class _Spool:
    """What is read, on local disk: a file for each lane, one for refused rows, and the names that rows have taken."""

    folder: Path
    settings: Settings
    options: IntakeOptions
    rows: int = 0
    refused: int = 0
    faults: list[LineFault] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    _lanes: dict[str, "_Lane"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = sqlite3.connect(self.folder / "names.sqlite", isolation_level=None)
        self._names.execute("PRAGMA journal_mode=OFF")
        self._names.execute("PRAGMA synchronous=OFF")
        self._names.execute("CREATE TABLE names (name TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._names.execute("BEGIN")
        self._refused = (self.folder / "refused.jsonl").open("wb")
        self._hash = hashlib.sha256()

    def fill(self, lines: BinaryIO, kinds: Mapping[str, Kind]) -> None:
        """Read all lines."""
        reader = LineReader(kinds, list(self.settings.catalog), self._defaults())
        for line, raw in _lines_of(lines):
            if self.options.limit is not None and self.rows >= self.options.limit:
                break
            result = reader.read(raw, self.rows, line)
            if isinstance(result, RowRequest):
                result = self._unless_named_before(result)
            if isinstance(result, RowRequest):
                self._keep(result)
            else:
                self._refuse(result)
            self.rows += 1

    def close(self) -> None:
        """Let go of the files."""
        self._names.close()
        self._refused.close()
        for lane in self._lanes.values():
            lane.file.close()

    def batch(self, options: IntakeOptions, run_key: str, created_at: datetime) -> Batch:
        """The acceptance."""
        tenant = options.tenant or self.settings.tenant
        typed = options.typed()
        self._hash.update(orjson.dumps([tenant, typed, run_key], option=orjson.OPT_SORT_KEYS))
        full = self._hash.hexdigest()
        name = options.name or "batch"
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "batch"
        return Batch(
            batch_id=f"{stem}-{full[:12]}",
            name=name,
            tenant=tenant,
            priority=options.priority,
            deadline=options.deadline,
            run_key=run_key,
            rows=self.rows,
            refused=self.refused,
            kinds=self.kinds,
            lanes={name: lane.input() for name, lane in sorted(self._lanes.items())},
            options=typed,
            full_sha256=full,
            created_at=created_at,
        )

    def lane_path(self, lane: str) -> Path:
        """The spooled requests of a lane."""
        return self.folder / f"lane-{lane}.jsonl"

    def refused_outcomes(self) -> Iterator[Outcome]:
        """The final failures of the refused rows, which hold in every round."""
        with (self.folder / "refused.jsonl").open("rb") as file:
            for raw in file:
                row, kind, custom_id, error = orjson.loads(raw)
                yield Outcome(row, EVERY_ROUND, 0, "", "failed", True, kind, custom_id, error=error)

    def _defaults(self) -> Defaults:
        given = dict(_given(text) for text in self.options.set)
        return Defaults(
            kind=self.options.kind,
            model=self.options.model or self.settings.model,
            tenant=self.options.tenant or self.settings.tenant,
            priority=self.options.priority,
            given=given,
        )

    def _unless_named_before(self, request: RowRequest) -> RowRequest | LineFault:
        if request.custom_id is None:
            return request
        try:
            self._names.execute("INSERT INTO names VALUES (?, ?)", (request.custom_id, request.line))
        except sqlite3.IntegrityError:
            (line,) = self._names.execute("SELECT line FROM names WHERE name = ?", (request.custom_id,)).fetchone()
            message = (
                f"line {line} has the custom_id {request.custom_id!r} already, and keeps it: give this row another"
            )
            where = (request.row, request.line, "duplicate_custom_id", message, "custom_id")
            return LineFault(*where, request.kind, request.custom_id)
        return request

    def _keep(self, request: RowRequest) -> None:
        name = self.settings.lane_of(request.model)
        if name not in self._lanes:
            self._lanes[name] = _Lane(request.model, self.lane_path(name).open("wb", buffering=1 << 20))
        line = request.to_bytes() + b"\n"
        self._lanes[name].add(line)
        self.kinds[request.kind] = self.kinds.get(request.kind, 0) + 1
        self._hash.update(line)

    def _refuse(self, fault: LineFault) -> None:
        self.refused += 1
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(fault)
        line = orjson.dumps([fault.row, fault.kind, fault.custom_id, fault.error]) + b"\n"
        self._refused.write(line)
        self._hash.update(line)


@dataclass
class _Lane:
    """The spooled input of one lane."""

    model: str
    file: BinaryIO
    rows: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, line: bytes) -> None:
        self.file.write(line)
        self._hash.update(line)
        self.rows += 1
        self.size += len(line)

    def input(self) -> LaneInput:
        return LaneInput(model=self.model, rows=self.rows, bytes=self.size, sha256=self._hash.hexdigest())


def _lines_of(lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number from 1. Of a line that is too long, only the beginning is held."""
    number = 0
    while raw := lines.readline(MAX_ROW_BYTES + 3):
        number += 1
        whole = raw.endswith(b"\n")
        while not whole and (rest := lines.readline(MAX_ROW_BYTES)):
            whole = rest.endswith(b"\n")
        line = (raw.removeprefix(BOM) if number == 1 else raw).rstrip(b"\r\n")
        if line.strip():
            yield number, line


def _given(text: str) -> tuple[str, Any]:
    """A field and its value from FIELD=VALUE: JSON where it is JSON, else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RequestError(f"--set {text}: give it as FIELD=VALUE")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value
