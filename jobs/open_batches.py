"""The open batches of a store, found from storage, each with an index of what it has come to.

The folder `open/` is a hint that spares a scan of all batches; the first scan of a process does not trust it, and makes
again what is missing. What Redis says of batches plays no part here.
"""

import time
from collections.abc import Callable, Iterator

from jobs.batch import BatchPaths
from jobs.outcomes import OutcomeIndex, list_batches, load_batch
from jobs.storage import Store


class OpenBatches:
    """Batches that are accepted and not published. `only` limits them to some. One thread at a time.

    `scan` asks the storage at most once in `scan_s` seconds.
    """

    def __init__(
        self,
        store: Store,
        only: frozenset[str] | None = None,
        scan_s: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._only = only
        self._scan_s = scan_s
        self._monotonic = monotonic
        self._scanned_at = float("-inf")
        self._trusts_hints = False
        self._indexes: dict[str, OutcomeIndex] = {}

    def __iter__(self) -> Iterator[OutcomeIndex]:
        """Highest priority first, then the oldest."""
        found = [index for index in self._indexes.values() if index.done is None]
        return iter(sorted(found, key=lambda index: (-index.batch.priority, index.batch.created_at)))

    def get(self, batch_id: str) -> OutcomeIndex | None:
        """The index of a batch, also when it was published since it was found; None when there is no such batch."""
        if batch_id not in self._indexes:
            self._add(batch_id)
        return self._indexes.get(batch_id)

    def scan(self, *, now: bool = False) -> None:
        """Look for batches that are new, and let go of those that are published. Raises StoreUnavailable."""
        if not now and self._monotonic() - self._scanned_at < self._scan_s:
            return
        self._scanned_at = self._monotonic()
        for batch_id in sorted(self._only if self._only is not None else self._hinted()):
            index = self._indexes.get(batch_id)
            if index is None:
                self._add(batch_id)
            elif index.done is not None:  # hinted again after it was done: it may have been reopened
                index.refresh()
                if index.done is not None:
                    self._store.delete(index.paths.open_hint)

    def _hinted(self) -> set[str]:
        hinted = set(self._store.list("open"))
        for batch_id in set(self._indexes) - hinted:
            if self._indexes[batch_id].done is not None:
                del self._indexes[batch_id]
        if self._trusts_hints:
            return hinted
        self._trusts_hints = True
        return hinted | self._without_hint(hinted)

    def _without_hint(self, hinted: set[str]) -> set[str]:
        """Batches that are open although nothing hints at them: whoever made them died before the hint."""
        found = set()
        for batch_id in list_batches(self._store):
            if batch_id in hinted or load_batch(self._store, batch_id) is None:
                continue
            self._add(batch_id)
            if self._indexes[batch_id].done is None:
                self._store.create(BatchPaths(batch_id).open_hint, b"")
                found.add(batch_id)
            else:
                del self._indexes[batch_id]
        return found

    def _add(self, batch_id: str) -> None:
        batch = load_batch(self._store, batch_id)
        if batch is not None:
            index = OutcomeIndex(self._store, batch)
            index.refresh()
            self._indexes[batch_id] = index
