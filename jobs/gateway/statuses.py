"""Statuses that many clients ask for: each batch is read at most once a second, whoever asks."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jobs.batches.batch import Batch, Closed, Done
from jobs.batches.rounds import read_round, require_batch
from jobs.operations.status import BatchStatus
from jobs.operations.status_reader import StatusReader
from jobs.store.store import Store

FRESH_S: Final = 1.0
"""A status is told to all who ask for it within this long."""

ENDED_FRESH_S: Final = 5.0
"""The same for a batch that has ended; it changes only if somebody has it run again."""

MOST_KEPT: Final = 2_000
"""At most this many statuses are kept."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch as it was seen at one moment. `done` is its last published round, and `closed` what closed the present one."""

    batch: Batch
    status: BatchStatus
    done: Done | None
    closed: Closed | None

    @property
    def has_ended(self) -> bool:
        """Whether every row has its outcome, and no further round is open."""
        return self.status.state == "published"


@dataclass
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    seen: Seen | None = None


@dataclass
class Statuses:
    """The statuses of batches, shared by all threads.

    Attributes:
        store: The storage.
        reader: Reads a status.
        monotonic: Returns seconds, for how long a status is fresh.
    """

    store: Store
    reader: StatusReader
    monotonic: Callable[[], float] = time.monotonic
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, batch_id: str) -> Seen:
        """Return the status of a batch, at most a second old. Raises NoBatch, StoreUnavailable."""
        with self._lock:
            if len(self._slots) >= MOST_KEPT:
                self._slots.clear()
            slot = self._slots.setdefault(batch_id, _Slot())
        with slot.lock:
            fresh_s = ENDED_FRESH_S if slot.seen is not None and slot.seen.has_ended else FRESH_S
            if slot.seen is None or self.monotonic() - slot.at >= fresh_s:
                slot.seen = self._read(batch_id)
                slot.at = self.monotonic()
            return slot.seen

    def forget(self, batch_id: str) -> None:
        """Read a batch anew when it is asked for next, since it was changed."""
        with self._lock:
            self._slots.pop(batch_id, None)

    def _read(self, batch_id: str) -> Seen:
        status = self.reader.batch(batch_id)
        batch = require_batch(self.store, batch_id)
        current = read_round(self.store, batch)
        return Seen(batch, status, current.latest, current.closed)
