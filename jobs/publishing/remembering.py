"""The fit translations of each published round are written into the translation memory of their tenants.

A publisher leaves the note `unremembered/<batch>.<round>` before it decides the round, so that no crash loses the translations. A
fleet writes a file for each tenant of the rounds that notes name, and removes the notes. The same round gives the same file under
the same name, which is created once, so any number of processes may do it at once or again. No outcome of a batch depends on it.

Rows that the round carried over from the round before, and segments that came from the memory themselves, are left out.
"""

import heapq
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from jobs.batches.batch import UNREMEMBERED, Batch, BatchPaths, Done
from jobs.batches.input import read_rows
from jobs.batches.published import OUTPUT, published_rows
from jobs.batches.records import read_record
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import load_batch, read_marker
from jobs.errors import NoBatch, StoreDamaged
from jobs.kinds.kind import Kind, memory_query
from jobs.logs import logger
from jobs.memory.entry import Entry
from jobs.memory.files import round_name, write_lines
from jobs.memory.merging import merge_files
from jobs.memory.opening import model_family
from jobs.settings import Settings
from jobs.store.damage import Damage, collect_damage
from jobs.store.store import Store


@dataclass
class Rememberer:
    """Writes the translations of the published rounds of one store into the memory. One thread calls it.

    Temporary files are written in the folder `scratch`, by default the system's.
    """

    store: Store
    kinds: Mapping[str, Kind]
    settings: Settings
    scratch: Path | None = None
    damage: Damage = field(default_factory=Damage)

    def remember(self) -> None:
        """Write the rounds that notes name. Raises StoreUnavailable.

        If a batch is damaged, its note stays, and StoreDamaged is raised after all other batches.
        """
        faults: list[StoreDamaged] = []
        for name in sorted(self.store.list(UNREMEMBERED)):
            batch_id, _, round_ = name.rpartition(".")
            if not round_.isdecimal():  # a foreign file
                continue
            with collect_damage(faults), self.damage.look(batch_id):
                self.remember_batch(batch_id, int(round_))
        if faults:
            raise faults[0]

    def remember_batch(self, batch_id: str, round_: int) -> None:
        """Write the round of a batch, and remove its note. A round that is not published yet keeps its note.

        Does nothing but that if the memory is switched off, or if the batch was deleted. Raises StoreDamaged, StoreUnavailable.
        """
        paths = BatchPaths(batch_id)
        try:
            batch = load_batch(self.store, batch_id)
            if batch is not None and self.settings.memory.enabled:
                done = read_record(self.store, paths.done(round_), Done)
                if done is None:
                    return
                self._remember_round(batch, done)
        except NoBatch:  # it was deleted meanwhile
            pass
        self.store.discard(paths.unremembered(round_))

    def _remember_round(self, batch: Batch, done: Done) -> None:
        name, count = round_name(batch.batch_id, done.round, done.at), 0
        with tempfile.TemporaryDirectory(prefix="nightpress-", dir=self.scratch) as folder:
            spool = _Spool(Path(folder))
            with closing(spool):
                for request, row in self._new_rows(batch, done):
                    for entry in self._entries(batch, request, row):
                        spool.add(request.tenant, entry.to_line())
                        count += 1
            for tenant, path in spool.files.items():
                with path.open("rb") as lines:
                    write_lines(self.store, tenant, name, lines)
                merge_files(self.store, tenant)
        if count:
            logger().info("batch.remembered", batch=batch.batch_id, round=done.round, entries=count)

    def _new_rows(self, batch: Batch, done: Done) -> Iterator[tuple[RowRequest, Mapping[str, Any]]]:
        """Yield the fit rows of a round that it did not carry over from the round before, with their requests."""
        lanes = (((one.row, one) for one in read_rows(self.store, batch.batch_id, lane)) for lane in batch.lanes)
        requests = heapq.merge(*lanes, key=itemgetter(0))
        carried = self._lines_before(batch, done)
        number, request, before = -1, None, (-1, b"")
        for row, line in published_rows(self.store, done, batch.batch_id, OUTPUT):
            while number < row["row"]:
                number, request = next(requests, (batch.rows, None))
            while before[0] < row["row"]:
                before = next(carried, (batch.rows, b""))
            if (
                request is not None
                and number == row["row"]
                and before != (number, line)
                and row.get("verdict") == "fit"
            ):
                yield request, row

    def _lines_before(self, batch: Batch, done: Done) -> Iterator[tuple[int, bytes]]:
        """Yield the completed rows of the round before, by number and line."""
        if done.round == 1:
            return
        before = read_marker(self.store, BatchPaths(batch.batch_id).done(done.round - 1), Done)
        for row, line in published_rows(self.store, before, batch.batch_id, OUTPUT):
            yield row["row"], line

    def _entries(self, batch: Batch, request: RowRequest, row: Mapping[str, Any]) -> Iterator[Entry]:
        kind = self.kinds.get(request.kind)
        segments = (row.get("output") or {}).get("segments") or ()
        try:
            query = (
                None if kind is None else memory_query(kind, kind.request_type.model_validate(dict(request.request)))
            )
        except ValueError:  # a newer release of the kind has written it
            return
        if query is None:
            return
        asked = _asked(request, segments)
        tokens = [_shares(int(row["usage"][name]), asked) for name in ("prompt_tokens", "completion_tokens")]
        card = self.settings.catalog.get(request.model)
        model = request.model if card is None else model_family(request.model, card, request.adapter)
        for n, (source, target) in enumerate(asked.items()):
            yield Entry(
                source,
                target,
                query.source_language,
                query.target_language,
                datetime.fromisoformat(row["finished_at"]).astimezone(UTC),
                context=query.context,
                terms=query.terms,
                formality=query.formality,
                model=model,
                template=next(iter((row.get("templates") or {}).values()), ""),
                verdict=row["verdict"],
                batch=batch.batch_id,
                row=request.row,
                prompt_tokens=tokens[0][n],
                completion_tokens=tokens[1][n],
            )


class _Spool:
    """Keeps lines on local disk, a file for each tenant. `files` has them by tenant once it is closed."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, Path] = {}
        self._folder = folder
        self._open: dict[str, BinaryIO] = {}
        self._stack = ExitStack()

    def add(self, tenant: str, line: bytes) -> None:
        if tenant not in self._open:
            path = self.files[tenant] = self._folder / str(len(self.files))
            self._open[tenant] = self._stack.enter_context(path.open("wb"))
        self._open[tenant].write(line)

    def close(self) -> None:
        self._stack.close()


def _asked(request: RowRequest, segments: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the segments of an output, without those that came from the memory, and each source once: with its last target."""
    known = {source: one.get("target") for source, one in (request.known or {}).items()}
    pairs = {one["source"]: one["target"] for one in segments}
    return {source: target for source, target in pairs.items() if known.get(source) != target}


def _shares(tokens: int, asked: Mapping[str, str]) -> list[int]:
    """Divide the tokens of a row among its segments by their letters, in integers that add up to all of them."""
    lengths = [len(source) + len(target) for source, target in asked.items()]
    total, before, shares = sum(lengths), 0, []
    for end in accumulate(lengths):
        upto = tokens * end // total if total else 0
        shares.append(upto - before)
        before = upto
    return shares
