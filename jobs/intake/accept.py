"""Intake: turns a file of requests into an accepted batch, in bounded memory, whatever the file holds.

A row that cannot be accepted becomes a failed row at once and harms no other; with `strict` the whole file is refused
instead, and nothing is stored. The order of writes makes `batch.json` the acceptance: inputs, then the refused rows, then
`batch.json`, then the hint that it is open. The same rows, options and run key give the same id, and so the same batch.
"""

import re
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.rounds import is_left_over, is_open, load_batch, now, to_bytes
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.errors import ConflictError, RequestError, StoreUnavailable
from jobs.formats.detection import json_records
from jobs.formats.detection import records as records_of
from jobs.formats.json_lines import Finding, read_value
from jobs.formats.record import InputFormat, Record
from jobs.formats.source import decompressed, open_source, source_name
from jobs.intake.row_reader import TENANT, Defaults, RowFault, RowReader
from jobs.intake.staging import NAMES_IN_MEMORY, Staging
from jobs.kinds.kind import Kind
from jobs.kinds.registry import load_kinds
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.store import Store

SEGMENT_ROWS: Final = 4_096


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How a file is to be read, and what its batch is to be.

    `deadline_typed` is the deadline in the user's words: `+8h` names another moment at each call, and is yet the same option.
    """

    kind: str | None = None
    model: str | None = None
    set: tuple[str, ...] = ()
    name: str | None = None
    tenant: str | None = None
    priority: int = 4
    deadline: datetime | None = None
    limit: int | None = None
    strict: bool = False
    deadline_typed: str | None = None
    form: InputFormat | None = None
    publish_at: datetime | None = None
    publish_at_typed: str | None = None
    output_url: str | None = None
    output_form: str | None = None

    def typed(self) -> dict[str, str]:
        """Every option that was given, as text: part of the batch's id. Not `strict`, which changes no batch."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "model": self.model,
            "set": orjson.dumps(self.set).decode() if self.set else None,
            "name": self.name,
            "tenant": self.tenant,
            "priority": self.priority,
            "deadline": self.deadline_typed or self.deadline,
            "limit": self.limit,
            "format": self.form,
            "publish_at": self.publish_at_typed or self.publish_at,
            "output_url": self.output_url,
            "output_form": self.output_form,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch, whether this call made it, and the first of the rows that were refused (`batch.refused` counts all)."""

    batch: Batch
    created: bool
    faults: Sequence[RowFault]


class StrictRefused(RequestError):
    """With `strict`, the file has bad lines: nothing was accepted."""

    def __init__(self, faults: Sequence[RowFault], total: int) -> None:
        more = [f"and {total - len(faults):,} more"] if total > len(faults) else []
        head = f"{total:,} bad line{'s' * (total != 1)}, nothing was accepted:"
        super().__init__("\n".join([head, *(str(fault) for fault in faults), *more]))
        self.faults = faults
        self.total = total


def accept_file(store: Store, path: Path | str, options: IntakeOptions, settings: Settings, run_key: str) -> Accepted:
    """Make a batch of a file, a URL, or `-`, standard input. Raises RequestError, ConflictError, StoreUnavailable."""
    kinds = load_kinds(settings.templates_dir)
    name = options.name or source_name(path)
    with open_source(path, settings.options_for(str(path))) as file:
        return accept(store, file, replace(options, name=name), kinds=kinds, settings=settings, run_key=run_key)


def accept(
    store: Store,
    lines: Iterable[bytes] | BinaryIO,
    options: IntakeOptions,
    *,
    kinds: Mapping[str, Kind],
    settings: Settings,
    run_key: str,
    clock: Callable[[], datetime] = now,
    names_in_memory: int = NAMES_IN_MEMORY,
) -> Accepted:
    """Make a batch of a binary file in any format, or of lines of JSON; or find the one that they have made before.

    Raises RequestError when nothing can be accepted, ConflictError when another batch stands under the id, and
    StoreUnavailable when the storage, the input or the scratch folder fails: then there is no batch, unless the error names
    one that may have been accepted.
    """
    with staged(lines, options, kinds, settings, names_in_memory) as staging:
        accepted = _accepted(store, staging, options, settings, run_key, clock)
    if accepted.created:
        batch = accepted.batch
        logger().info("batch.accepted", batch=batch.batch_id, rows=batch.rows, refused=batch.refused)
    return accepted


@contextmanager
def staged(
    lines: Iterable[bytes] | BinaryIO,
    options: IntakeOptions,
    kinds: Mapping[str, Kind],
    settings: Settings,
    names_in_memory: int = NAMES_IN_MEMORY,
) -> Iterator[Staging]:
    """All rows of an input on local disk, as they would be accepted. Raises as `accept`."""
    reader = row_reader(options, kinds, settings)
    try:
        with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch:
            staging = Staging(Path(scratch), settings, names_in_memory)
            with closing(staging), _records(lines, reader, options.form) as records:
                staging.fill(records, reader, options.limit)
            yield staging
    except (OSError, sqlite3.Error) as error:
        reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
        raise StoreUnavailable(
            f"intake: cannot read the input or keep it under {tempfile.gettempdir()}: {reason}. Look at that disk, or set TMPDIR."
        ) from error


def row_reader(options: IntakeOptions, kinds: Mapping[str, Kind], settings: Settings) -> RowReader:
    """What reads the rows under these options. Raises RequestError when an option is wrong for every row."""
    _check(options, kinds, settings)
    return RowReader(kinds, list(settings.catalog), _defaults(options, settings))


@contextmanager
def _records(
    lines: Iterable[bytes] | BinaryIO, reader: RowReader, form: InputFormat | None
) -> Iterator[Iterator[Record]]:
    if hasattr(lines, "read"):
        with decompressed(cast("BinaryIO", lines)) as file:
            yield records_of(file, reader, form)
    else:
        yield json_records(lines)


def _accepted(
    store: Store,
    staging: Staging,
    options: IntakeOptions,
    settings: Settings,
    run_key: str,
    clock: Callable[[], datetime],
) -> Accepted:
    if not staging.rows:
        raise RequestError(
            "the input holds no rows: give it JSON Lines, a CSV with a header, an OpenAI batch file, or Parquet"
        )
    if options.strict and staging.refused:
        raise StrictRefused(staging.faults, staging.refused)
    batch = _batch(staging, options, options.tenant or settings.tenant, run_key, clock())
    standing, created = _write(store, batch, staging)
    return Accepted(standing, created, staging.faults)


def _batch(staging: Staging, options: IntakeOptions, tenant: str, run_key: str, created_at: datetime) -> Batch:
    """The acceptance."""
    typed = options.typed()
    full = staging.sha256(tenant, typed, run_key)
    name = options.name or "batch"
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "batch"
    return Batch(
        batch_id=f"{stem}-{full[:12]}",
        name=name,
        tenant=tenant,
        priority=options.priority,
        deadline=options.deadline,
        publish_at=options.publish_at,
        output_url=options.output_url,
        output_form=options.output_form or "jsonl",
        run_key=run_key,
        rows=staging.rows,
        refused=staging.refused,
        kinds=staging.kinds,
        lanes=staging.lanes(),
        options=typed,
        full_sha256=full,
        created_at=created_at,
    )


def _write(store: Store, batch: Batch, staging: Staging) -> tuple[Batch, bool]:
    """Put everything in its place, `batch.json` last. Returns the batch that stands, and whether this call made it."""
    paths = BatchPaths(batch.batch_id)
    standing = load_batch(store, batch.batch_id)
    created = False
    if standing is None and is_left_over(store, batch.batch_id):
        raise ConflictError(
            f"some of a {batch.batch_id} that was deleted is left: end that with nightpress delete {batch.batch_id}, "
            "then the same again"
        )
    if standing is None:
        for lane in batch.lanes:
            with store.writer(paths.input(lane)) as target, staging.lane_path(lane).open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        for n, outcomes in enumerate(_chunks(staging.refused_outcomes()), start=1):
            segment.write(store, paths, outcomes, "intake", batch.full_sha256[:12], n)
        created = _create(store, batch)
        standing = batch if created else load_batch(store, batch.batch_id)
    if standing is None or standing.full_sha256 != batch.full_sha256:
        raise ConflictError(f"another batch stands under {batch.batch_id}: give this one a --name or a --run-key")
    try:
        if created or is_open(store, batch.batch_id):
            store.create(paths.open_hint, b"")
    except StoreUnavailable as error:  # it is accepted all the same: to say otherwise would have it made twice
        logger().warning("batch.hint_failed", batch=batch.batch_id, error=str(error))
    return standing, created


def _create(store: Store, batch: Batch) -> bool:
    """Create the acceptance. Where nobody can tell whether it stands, the error tells how to ask again."""
    try:
        return store.create(BatchPaths(batch.batch_id).acceptance, to_bytes(batch))
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{error} {batch.batch_id} may be accepted all the same: with its run key, the same again is no second batch "
            f"(enqueue --run-key {shlex.quote(batch.run_key)})"
        ) from error


def _chunks(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while chunk := list(islice(outcomes, SEGMENT_ROWS)):
        yield chunk


def _check(options: IntakeOptions, kinds: Mapping[str, Kind], settings: Settings) -> None:
    """Options that would be wrong for every row are the command's fault, not the rows'. Raises RequestError."""
    if options.kind is not None and options.kind not in kinds:
        raise RequestError(f"--kind {options.kind}: the known kinds are {', '.join(sorted(kinds))}")
    if options.model is not None and options.model not in settings.catalog:
        raise RequestError(f"--model {options.model}: the known models are {', '.join(sorted(settings.catalog))}")
    if options.tenant is not None and not re.fullmatch(TENANT, options.tenant):
        raise RequestError(
            f"--tenant {options.tenant!r}: give it 1 to 64 letters, digits, dots, hyphens or underscores"
        )
    if not 0 <= options.priority <= 9:
        raise RequestError(f"--priority {options.priority}: give it 0 to 9")
    if options.limit is not None and options.limit < 1:
        raise RequestError(f"--limit {options.limit}: give it 1 or more")
    for name in ("name", "set", "deadline_typed", "publish_at_typed"):
        try:
            orjson.dumps(getattr(options, name))
        except TypeError:
            raise RequestError(f"--{name.removesuffix('_typed').replace('_', '-')} is not valid UTF-8") from None


def _defaults(options: IntakeOptions, settings: Settings) -> Defaults:
    return Defaults(
        kind=options.kind,
        model=options.model or settings.model,
        tenant=options.tenant or settings.tenant,
        priority=options.priority,
        given={name: value for name, value in map(_given, options.set) if value is not None},
    )


def _given(text: str) -> tuple[str, Any]:
    """A field and its value from FIELD=VALUE: JSON where it is JSON, else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RequestError(f"--set {text}: give it as FIELD=VALUE")
    try:
        said = read_value(value)
    except ValueError:
        return name, value
    if isinstance(said, Finding):
        raise RequestError(f"--set {name}: {said.message}")
    return name, said
