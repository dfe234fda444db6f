"""This module finds the open batches in storage, and keeps an index of outcomes for each (rule 5 of jobs/PROTOCOL.md).

The folder `open/` holds a hint for each open batch: an empty file that spares a scan of all batches. A process that accepts or
reopens a batch may die before it makes the hint. So the first scan of a process looks at every batch, and each further scan
also looks at one batch that has no hint. If an open batch has no hint, its hint is made.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator

from jobs.batches.batch import BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import finish_round, list_batches, load_batch, open_next_round, require_batch
from jobs.errors import NoBatch, StoreDamaged, StoreUnavailable
from jobs.store.damage import Damage
from jobs.store.fan_out import each
from jobs.store.store import Store


class OpenBatches:
    """The batches that are accepted and not published. One thread at a time may use this object.

    `only` limits the batches to these ids. `scan` reads storage at most once in `batch_scan_s` seconds. `fault` is the damage
    that the last scan found last; None if it found none.
    """

    def __init__(
        self,
        store: Store,
        only: frozenset[str] | None = None,
        batch_scan_s: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._only = only
        self._batch_scan_s = batch_scan_s
        self._monotonic = monotonic
        self._scanned_at = float("-inf")
        self._trusts_hints = False
        self._to_check: list[str] = []
        self._indexes: dict[str, OutcomeIndex] = {}
        self._damage = Damage(monotonic)
        self._finished: set[tuple[str, int]] = set()
        self.fault: StoreDamaged | None = None

    @property
    def scope(self) -> str:
        """A short name of `only`, the same in every process; empty for all batches."""
        if self._only is None:
            return ""
        return hashlib.sha256("\n".join(sorted(self._only)).encode()).hexdigest()[:16]

    def __iter__(self) -> Iterator[OutcomeIndex]:
        """Yield the open batches: highest priority first, then the oldest."""
        found = [index for index in self._indexes.values() if index.done is None]
        return iter(sorted(found, key=lambda index: (-index.batch.priority, index.batch.created_at)))

    def get(self, batch_id: str) -> OutcomeIndex | None:
        """Return the index of a batch, even if it was published since the last scan; None if there is no such batch."""
        if batch_id not in self._indexes:
            with contextlib.suppress(NoBatch):
                self._add(batch_id)
        return self._indexes.get(batch_id)

    def forget(self, batch_id: str) -> None:
        """Drop the index of a batch that was deleted."""
        self._indexes.pop(batch_id, None)

    def forget_all(self) -> None:
        """Drop all indexes, because this process no longer looks for open batches. The next scan makes new ones."""
        self._indexes.clear()
        self._scanned_at = float("-inf")

    def scan(self, *, now: bool = False) -> None:
        """Find new batches, and drop those that are published or deleted.

        If `now` is True, storage is read even if `batch_scan_s` seconds have not passed. Raises StoreUnavailable. Damage of a
        batch is not raised, but kept in `fault`.
        """
        if not now and self._monotonic() - self._scanned_at < self._batch_scan_s:
            return
        self._scanned_at = self._monotonic()
        self.fault = None
        hinted = set(self._store.list("open"))
        self._forget_ended(set(self._indexes) - hinted)
        for batch_id in sorted(self._only if self._only is not None else hinted | self._without_hint(hinted)):
            try:
                with self._damage.look(batch_id):
                    self._look_again(batch_id)
            except NoBatch:  # it was deleted, and a hint may be left
                self.forget(batch_id)
                self._remove_hint(BatchPaths(batch_id))
            except StoreDamaged as error:
                self.fault = error

    def _remove_hint(self, paths: BatchPaths) -> None:
        """Delete the hint of a batch that is gone. A foreign file stays."""
        with contextlib.suppress(KeyError):
            if not self._store.exists(paths.root) and self._store.size(paths.open_hint) == 0:
                self._store.discard(paths.open_hint)

    def _look_again(self, batch_id: str) -> None:
        index = self._indexes.get(batch_id)
        if index is None or index.is_stale:
            self.forget(batch_id)
            self._add(batch_id)
        elif index.done is not None:  # the batch may have been reopened
            index.refresh()
            ended = (batch_id, index.round)
            if (
                index.done is not None and ended not in self._finished
            ):  # the publisher may have died before it removed the hint
                finish_round(self._store, index.batch)
                self._finished.add(ended)
            elif index.current.waits_for_period:
                open_next_round(self._store, index.batch)
            index.refresh()

    def _forget_ended(self, unhinted: set[str]) -> None:
        """Drop the batches of `unhinted` that are deleted. A damaged batch stays.

        Published batches are dropped too, unless `only` names the batches.
        """
        for batch_id in unhinted:
            is_published = self._only is None and self._indexes[batch_id].done is not None
            with contextlib.suppress(StoreDamaged):
                if is_published or load_batch(self._store, batch_id) is None:
                    self.forget(batch_id)

    def _without_hint(self, hinted: set[str]) -> set[str]:
        """Return open batches that have no hint, and make their hints. The first call checks all batches, each later call one."""
        if not self._to_check:
            self._to_check = sorted(set(list_batches(self._store)) - hinted)
        size = 1 if self._trusts_hints else len(self._to_check)
        checked, self._to_check = self._to_check[:size], self._to_check[size:]
        self._trusts_hints = True
        checked = [batch_id for batch_id in checked if batch_id not in hinted]
        answers = each(self._is_open, checked, self._store.reads_at_once)
        found = {batch_id for batch_id, is_open in zip(checked, answers, strict=True) if is_open}
        for batch_id in found:
            self._store.create(BatchPaths(batch_id).open_hint, b"")
        return found

    def _is_open(self, batch_id: str) -> bool:
        """Whether a batch is open. A damaged batch counts as not open, so that the scan reaches the others."""
        with contextlib.suppress(StoreUnavailable, NoBatch):
            batch = load_batch(self._store, batch_id)
            return batch is not None and open_next_round(self._store, batch)
        return False

    def _add(self, batch_id: str) -> None:
        index = OutcomeIndex(self._store, require_batch(self._store, batch_id))
        index.refresh()
        if index.current.has_next_round and open_next_round(self._store, index.batch):
            index.refresh()
        self._indexes[batch_id] = index
