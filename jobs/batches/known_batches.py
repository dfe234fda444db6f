"""This module keeps what a worker must know of the batches whose rows it runs: their acceptances, their rounds, and the prices of
those with a budget.

A worker that does not feed its lane needs nothing else of a batch. So it reads two to four small files for each batch, and no
segment: an `OutcomeIndex` would read the head of every segment in every worker.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from jobs.batches.batch import Batch
from jobs.batches.round import Round
from jobs.batches.rounds import granted_prices, load_batch, read_round
from jobs.errors import NoBatch
from jobs.prices import Prices
from jobs.store.store import Store

MOST: Final = 256
"""At most this many batches are kept. The batch that was asked for the longest time ago goes first."""


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A batch, and its round as the markers said when they were last read.

    `prices` are those by which its rows are charged if a budget limits it; None if none does.
    """

    batch: Batch
    current: Round
    prices: Prices | None = None


class KnownBatches:
    """The batches of one store that were asked for last. One thread at a time may use this object."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, KnownBatch] = OrderedDict()

    def get(self, batch_id: str, round_: int) -> KnownBatch | None:
        """Return a batch, with a round that was read once the batch was in round `round_` or a later one.

        Returns None if there is no such batch. Raises StoreDamaged, StoreUnavailable.
        """
        known = self._known.get(batch_id)
        is_granted = known is None or known.batch.budget is None or known.prices is not None
        if known is None or known.current.number < round_ or not is_granted:
            known = self._read(batch_id)
        if known is None:
            self._known.pop(batch_id, None)
            return None
        self._known[batch_id] = known
        self._known.move_to_end(batch_id)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return known

    def clear(self) -> None:
        """Forget all batches, so that each is read again."""
        self._known.clear()

    def _read(self, batch_id: str) -> KnownBatch | None:
        batch = load_batch(self._store, batch_id)
        if batch is None:
            return None
        try:
            current = read_round(self._store, batch)
            return KnownBatch(batch, current, granted_prices(self._store, batch, current))
        except NoBatch:
            return None
