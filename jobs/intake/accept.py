"""Intake: turns a file of requests into an accepted batch, in bounded memory.

A row that cannot be accepted becomes a failed row at once, and harms no other row. If no row can be accepted, or with `strict` if
one row cannot, the whole file is refused instead, and nothing is stored. The same rows, tenant, options and run key give the same
id, and so the same batch (rule 4 of jobs/PROTOCOL.md).
"""

import re
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from jobs.batches.batch import Batch, QuoteTerms
from jobs.batches.rounds import now
from jobs.did_you_mean import did_you_mean, same_name
from jobs.errors import RequestError, StoreUnavailable
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.input_format import InputFormat
from jobs.intake.batch_files import write_batch
from jobs.intake.column_options import checked_fields, typed
from jobs.intake.documents.opening import Input, open_input, row_records
from jobs.intake.documents.staged import DocumentInput
from jobs.intake.names import NAMES_IN_MEMORY
from jobs.intake.refusals import StrictRefused
from jobs.intake.remembering import RowLookup
from jobs.intake.row_faults import RowFault
from jobs.intake.row_fields import TENANT, given_field
from jobs.intake.row_reader import RowDefaults, RowReader
from jobs.intake.sampling import Sampler
from jobs.intake.staging import Staging
from jobs.kinds.kind import Kind
from jobs.kinds.registry import load_kinds
from jobs.logs import logger
from jobs.prices import Money, Prices
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.tenants import RowsMaySet
from jobs.terms.row_glossaries import RowGlossaries


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How to read a file, and the properties of its batch.

    `deadline_typed` and `publish_at_typed` hold the texts that the user typed for `deadline` and `publish_at`. The id of the
    batch is made from these texts: `+8h` means another time at each call, but it is the same option.
    `document` is the name of the format of documents, where it is given; `with_done` sends segments that are translated already.
    `budget` is what all rows of the batch may be charged. With `quote`, the batch is quoted from a sample of its rows before the
    others run. With `keeps_refused`, an input makes a batch even if every row of it is refused.
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
    override_model: bool = False
    columns: Columns = NO_CHOICE
    rows_may_set: RowsMaySet | None = None
    document: str | None = None
    with_done: bool = False
    budget: Money | None = None
    quote: QuoteTerms | None = None
    keeps_refused: bool = False

    def typed(self) -> dict[str, str]:
        """Return every given option as text, for the hash in the batch's id. `strict` is left out, since it changes no batch, and
        so is `quote`, so that a quoted batch does not run again under the same run key without a quote.
        """
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
            "override_model": self.override_model or None,
            "rows_may_set": None if self.rows_may_set is None else sorted(self.rows_may_set),
            "document": self.document,
            "with_done": self.with_done or None,
            "budget": self.budget,
            **typed(self.columns),
        }
        return {name: str(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A batch, and how it was accepted.

    `created` tells whether this call made the batch. `faults` are those of the first refused rows; `batch.refused` counts all
    refused rows. `remarks` has each remark of a kind on accepted rows, with the number of these rows.
    """

    batch: Batch
    created: bool
    faults: Sequence[RowFault]
    remarks: Mapping[str, int]


def accept_file(
    store: Store, path: Path | str | Sequence[str], options: IntakeOptions, settings: Settings, run_key: str
) -> Accepted:
    """Make a batch of the file at a path or URL, of standard input (`-`), or of documents. Raises what `accept` raises."""
    kinds = load_kinds(settings.templates_dir)
    places = [str(path)] if isinstance(path, str | Path) else path
    with open_input(places, options, settings) as (lines, name):
        named = replace(options, name=options.name or name)
        return accept(store, lines, named, kinds=kinds, settings=settings, run_key=run_key)


def accept(
    store: Store,
    lines: Input,
    options: IntakeOptions,
    *,
    kinds: Mapping[str, Kind],
    settings: Settings,
    run_key: str,
    clock: Callable[[], datetime] = now,
    names_in_memory: int = NAMES_IN_MEMORY,
) -> Accepted:
    """Make a batch of a binary file in any format, of lines of JSON, or of documents.

    If the same batch was made before, return that batch.

    Raises:
        RequestError: Nothing can be accepted. It is AllRefused if every row is refused, StrictRefused if `strict` is set and a
            row is refused; both hold the faults.
        ConflictError: Another batch has the id.
        StoreUnavailable: The storage, the input or the scratch folder failed. No batch was made, unless the message names
            a batch that may have been accepted.
    """
    memory = RowLookup(store, kinds, settings)
    sampler = None if options.quote is None else Sampler(kinds, settings)
    with staged(lines, options, kinds, settings, names_in_memory, memory, sampler) as staging:
        accepted = _accepted(store, staging, options, settings, run_key, clock)
    if accepted.created:
        batch = accepted.batch
        logger().info("batch.accepted", batch=batch.batch_id, rows=batch.rows, refused=batch.refused)
    return accepted


@contextmanager
def staged(
    lines: Input,
    options: IntakeOptions,
    kinds: Mapping[str, Kind],
    settings: Settings,
    names_in_memory: int = NAMES_IN_MEMORY,
    memory: RowLookup | None = None,
    sampler: Sampler | None = None,
) -> Iterator[Staging]:
    """Read all rows of an input into a Staging, and yield the Staging. The files of the Staging are deleted at the end.

    `memory` is closed at the end. Without it, rows go without the translation memory. `sampler` chooses the rows for a quote.

    Raises RequestError if an option or the whole input is wrong, and StoreUnavailable if the input or the scratch folder fails.
    """
    reader = row_reader(options, kinds, settings)
    columns = NO_CHOICE if isinstance(lines, DocumentInput) else checked_fields(options.columns, reader.known)
    try:
        with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch:
            staging = Staging(Path(scratch), settings, names_in_memory, memory, sampler)
            with closing(staging), ExitStack() as files:
                if isinstance(lines, DocumentInput):
                    staging.documents = lines.staged(Path(scratch), settings, files, names_in_memory)
                    records = staging.documents.records()
                else:
                    records = files.enter_context(row_records(lines, reader, options.form, columns, settings))
                staging.fill(records, reader, options.limit)
            staging.glossaries = reader.glossary_files
            yield staging
    except (OSError, sqlite3.Error) as error:
        reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
        raise StoreUnavailable(
            f"intake: cannot read the input, or keep it under {tempfile.gettempdir()}: {reason}. Check that disk, or set TMPDIR."
        ) from error


def row_reader(options: IntakeOptions, kinds: Mapping[str, Kind], settings: Settings) -> RowReader:
    """Return the reader of rows under these options.

    Raises RequestError if an option is wrong for every row, or if a glossary of the tenant is not valid.
    """
    _check(options, kinds, settings)
    defaults, glossaries = _defaults(options, settings), RowGlossaries(settings)
    glossaries.require(defaults.tenant)
    return RowReader(kinds, settings.known_models, defaults, glossaries)


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
    if options.output_form == "document" and staging.documents is None:
        raise RequestError("--output-format document: the rows came as rows, and not as documents; give another format")
    if options.strict and staging.refused:
        raise StrictRefused(staging.faults, staging.refused)
    if not options.keeps_refused:
        staging.require_rows()
    batch = _batch(staging, options, options.tenant or settings.tenant, run_key, clock())
    batch, created = write_batch(store, batch, staging)
    return Accepted(batch, created, staging.faults, staging.remarks)


def _batch(staging: Staging, options: IntakeOptions, tenant: str, run_key: str, created_at: datetime) -> Batch:
    """Return the new batch with the staged rows, as `batch.json` will hold it."""
    typed = options.typed()
    documents = None if staging.documents is None else staging.documents.record
    full = staging.sha256(tenant, typed, run_key, *([documents.list_sha256] if documents else []))
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
        extra_columns=tuple(staging.extra),
        layout=staging.layout,
        documents=documents,
        budget=options.budget,
        glossaries=staging.glossaries,
        quote=options.quote,
        options=typed,
        full_sha256=full,
        created_at=created_at,
    )


def _check_budget(budget: Money | None, prices: Prices) -> None:
    """Raise RequestError if a budget is in another currency than the prices."""
    if budget is not None and budget.currency != prices.currency:
        raise RequestError(
            f"--budget {budget}: the prices are in {prices.currency}: give the budget in {prices.currency}, or give [prices] in "
            f"{budget.currency}"
        )


def _check(options: IntakeOptions, kinds: Mapping[str, Kind], settings: Settings) -> None:
    """Raise RequestError if an option would be wrong for every row."""
    _check_budget(options.budget, settings.prices)
    if options.kind is not None and same_name(options.kind, kinds) is None:
        like = did_you_mean(options.kind, kinds)
        raise RequestError(f"--kind {options.kind}: the known kinds are {', '.join(sorted(kinds))}{like}")
    models = settings.known_models
    if options.model is not None and models.named(options.model) is None and models.adapted(options.model) is None:
        like = did_you_mean(options.model, settings.catalog)
        raise RequestError(f"--model {options.model}: the known models are {', '.join(sorted(settings.catalog))}{like}")
    if options.override_model and options.model is None:
        raise RequestError("--override-model needs --model: the model that all rows are to have")
    if options.tenant is not None and not re.fullmatch(TENANT, options.tenant):
        raise RequestError(
            f"--tenant {options.tenant!r}: give it 1 to 64 letters, digits, dots, hyphens or underscores"
        )
    tenant = options.tenant or settings.tenant
    if settings.known_tenants_only and tenant not in _tenants(settings):
        raise RequestError(
            f"--tenant {tenant}: only the tenants of [tenants] are accepted{did_you_mean(tenant, _tenants(settings))}"
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


def _defaults(options: IntakeOptions, settings: Settings) -> RowDefaults:
    given = [given_field(text) for text in options.set]
    names = [name for name, _ in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RequestError(f"--set {twice}=... is given twice: remove one of them")
    return RowDefaults(
        kind=options.kind,
        model=options.model or settings.model,
        tenant=options.tenant or settings.tenant,
        priority=options.priority,
        given={name: value for name, value in given if value is not None},
        override_model=options.override_model,
        rows_may_set=frozenset(settings.rows_may_set) if options.rows_may_set is None else options.rows_may_set,
        tenants=_tenants(settings) if settings.known_tenants_only else None,
        with_most=options.budget is not None or any(one.has_budget for one in settings.tenants.values()),
        adapters={name: one.adapters for name, one in settings.tenants.items() if one.adapters},
    )


def _tenants(settings: Settings) -> Collection[str]:
    return {*settings.tenants, settings.tenant}
