"""Each published round is audited: its texts are compared with each other (jobs/checks/batch), and the report is stored.

A publisher leaves the note `unaudited/<batch>.<round>` before it decides the round, so that no crash loses the audit. A fleet
audits the rounds that notes name, writes `audit-<round>.json`, and removes the notes. The same rows give the same report, so any
number of processes may audit a round at once: the first file stays, and no outcome depends on it (rule 45 of jobs/PROTOCOL.md).

Memory does not grow with the texts: rows are read one by one, and what is compared lies in temporary files.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Self

import orjson
from pydantic import Field

from jobs.batches.batch import UNAUDITED, Batch, BatchPaths, Done, StoredRecord
from jobs.batches.input import read_rows
from jobs.batches.published import OUTPUT, read_published
from jobs.batches.records import read_record
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import create_marker, load_batch
from jobs.checks.batch.audit import AuditRow, audit
from jobs.checks.batch.limits import NAME as AUDIT
from jobs.checks.batch.limits import AuditLimits, audit_limits
from jobs.checks.batch.report import Audit
from jobs.checks.contract import Contract
from jobs.errors import NoBatch, RequestError, StoreDamaged
from jobs.kinds.kind import Kind, contract_of
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.damage import Damage, collect_damage
from jobs.store.store import Store

VARIANTS: Final = "variants"
"""The field of an output with several texts for one use, of which each is compared."""


class StoredAudit(StoredRecord):
    """`audit-<round>.json`: what the audit of a published round found."""

    batch_id: str
    round: int
    folder: str = Field(description="The published folder that was audited, as `done-<round>.json` names it.")
    report: Audit


def read_audit(store: Store, batch_id: str, done: Done) -> Audit | None:
    """Return the audit of a published round; None if it was not audited yet. Raises StoreDamaged, StoreUnavailable."""
    found = read_record(store, BatchPaths(batch_id).audit(done.round), StoredAudit)
    return None if found is None or found.folder != done.folder else found.report


@dataclass
class Auditor:
    """Audits the published rounds of one store. `audit` may be called at any time, by one thread.

    `limits` are None if audits are switched off: the notes are then removed. `on_audited` is called with each report. Temporary
    files are written in the folder `scratch`, by default the system's.
    """

    store: Store
    kinds: Mapping[str, Kind]
    limits: AuditLimits | None = field(default_factory=AuditLimits)
    on_audited: Callable[[Audit], object] = lambda _: None
    scratch: Path | None = None
    damage: Damage = field(default_factory=Damage)

    @classmethod
    def from_settings(
        cls,
        store: Store,
        kinds: Mapping[str, Kind],
        settings: Settings,
        on_audited: Callable[[Audit], object] = lambda _: None,
    ) -> Self:
        """Make an auditor with the limits of `[checks.audit]`. Raises RequestError, which names the setting that is wrong."""
        for tenant, own in settings.tenants.items():
            if AUDIT in own.checks:
                raise RequestError(
                    f"tenants.{tenant}.checks.{AUDIT}: an audit has the same limits for all tenants: set them under "
                    f"[checks.{AUDIT}]"
                )
        return cls(store, kinds, audit_limits(settings.checks), on_audited)

    def audit(self) -> None:
        """Audit each round that a note names. Raises StoreUnavailable.

        If a batch is damaged, its note stays, and StoreDamaged is raised after all other batches were audited.
        """
        faults: list[StoreDamaged] = []
        for name in sorted(self.store.list(UNAUDITED)):
            batch_id, _, round_ = name.rpartition(".")
            if not round_.isdecimal():  # a foreign file
                continue
            with collect_damage(faults), self.damage.look(batch_id):
                self.audit_batch(batch_id, int(round_))
        if faults:
            raise faults[0]

    def audit_round(self, batch: Batch, done: Done) -> Audit:
        """Audit a published round of a batch, unless it was audited before. Returns the report that is stored.

        Raises NoBatch if the batch was deleted meanwhile, StoreDamaged, StoreUnavailable.
        """
        known = read_audit(self.store, batch.batch_id, done)
        if known is not None:
            return known
        limits = self.limits or AuditLimits()
        report = audit(audit_rows(self.store, batch, done, self.kinds, limits), limits, self.scratch)
        path = BatchPaths(batch.batch_id).audit(done.round)
        stored = StoredAudit(batch_id=batch.batch_id, round=done.round, folder=done.folder, report=report)
        if not create_marker(self.store, batch, path, stored):
            known = read_audit(self.store, batch.batch_id, done)
            if known is not None:
                return known
            self.store.delete(path)  # a process that died has left it, of a deleted batch with the same id
            create_marker(self.store, batch, path, stored)
        over = sorted({name for figures in report.figures for name in figures.over})
        logger().info(
            "batch.audited", batch=batch.batch_id, round=done.round, collapse=report.collapse, over=",".join(over)
        )
        self.on_audited(report)
        return report

    def audit_batch(self, batch_id: str, round_: int) -> None:
        """Audit the round of a batch, and remove its note. A round that is not published yet keeps its note.

        Does nothing but that if audits are switched off, or if the batch was deleted. Raises StoreDamaged, StoreUnavailable.
        """
        paths = BatchPaths(batch_id)
        try:
            batch = load_batch(self.store, batch_id)
            if batch is not None and self.limits is not None:
                done = read_record(self.store, paths.done(round_), Done)
                if done is None:
                    return
                self.audit_round(batch, done)
        except NoBatch:  # it was deleted meanwhile
            pass
        self.store.discard(paths.unaudited(round_))


def audit_rows(
    store: Store, batch: Batch, done: Done, kinds: Mapping[str, Kind], limits: AuditLimits
) -> Iterator[AuditRow]:
    """Yield the texts of the completed rows of a published round as an audit reads them. A row with `variants` has several, each
    an entry with the row's number. Rows whose kind writes no text of its own are left out.

    Raises StoreDamaged.
    """
    translated = any(kind in limits.translations for kind in batch.kinds) or not batch.kinds
    requests = _requests(store, batch) if translated else iter(())
    request: RowRequest | None = None
    for row in read_published(store, done, batch.batch_id, OUTPUT):
        kind = kinds.get(row["kind"])
        number, contract = row["row"], Contract() if kind is None else contract_of(kind)
        if not contract.writes:
            continue
        source, pair = None, ""
        if row["kind"] in limits.translations:
            while request is None or request.row < number:
                request = next(requests, None)
                if request is None:
                    break
            if request is not None and request.row == number:
                source, pair = _source_and_pair(request.request, contract)
        custom_id = row.get("custom_id")
        name = str(number if custom_id is None else custom_id)
        for text in _compared_texts(row["output"], contract):
            yield AuditRow(name, row["kind"], row["tenant"], text, source, pair, number)


def _requests(store: Store, batch: Batch) -> Iterator[RowRequest]:
    """Yield the readable requests of all lanes in input order."""
    lanes = (((one.row, one) for one in read_rows(store, batch.batch_id, lane)) for lane in batch.lanes)
    return (request for _, request in heapq.merge(*lanes, key=itemgetter(0)))


def _compared_texts(output: Any, contract: Contract) -> Sequence[str]:
    """Return the variants of an output, if it has several; else its main text alone.

    Answers in `choices` are not compared, since they answer one prompt, and posts of a thread are parts of one text.
    """
    variants = output.get(VARIANTS) if isinstance(output, Mapping) else None
    if isinstance(variants, list) and variants and all(isinstance(one, str) for one in variants):
        return variants
    return [_main_text(output, contract)]


def _main_text(output: Any, contract: Contract) -> str:
    """Return the main text of an output; all its texts, a line each, if its kind names none.

    Of a text that is JSON, only the texts in it count, since all answers by one schema have the same names.
    """
    if not isinstance(output, Mapping):
        return output if isinstance(output, str) else ""
    named = next((output[name] for name in contract.texts if isinstance(output.get(name), str)), None)
    text = named if named is not None else "\n".join(value for value in output.values() if isinstance(value, str))
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return "\n".join(_texts_in(orjson.loads(text)))
    return text


def _texts_in(data: Any) -> Iterator[str]:
    """Yield the texts in JSON data, without the names of fields, in their order."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping | list):
            waiting += reversed(list(value.values()) if isinstance(value, Mapping) else value)


def _source_and_pair(request: Mapping[str, Any], contract: Contract) -> tuple[str | None, str]:
    """Return the text that was translated, and all other fields of the request in one text."""
    name = contract.source or "source"
    source = request.get(name)
    others = {field: value for field, value in request.items() if field != name}
    return source if isinstance(source, str) else None, orjson.dumps(others, option=orjson.OPT_SORT_KEYS).decode()
