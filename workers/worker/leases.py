"""The leases that a worker holds, by phase, and how long each phase may last (rule 32 of jobs/PROTOCOL.md).

    waiting     claimed, but not begun by the engine
    running     the engine works on one of its prompts
    settling    finished, but its outcome is not yet durable and reported

A lease ends in one of three ways. It is *settled* once the outcome is durable. It is *released* so that another worker does the
row, and no attempt is counted. It is *abandoned* if it is gone: it ran out, or this worker no longer renews it. Nothing may be
written of a row whose lease is gone, so ask `holds` before each write.

From the moment that a lease is being settled or released, only the answer to that call tells whether it was held. A beat that
reaches the queue between the call and its answer finds the lease ended, although it was not lost.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from jobs.lanes.job import Lease
from jobs.settings import Settings


class Phase(StrEnum):
    """The phase of a leased job: see the head of this module."""

    WAITING = "waiting"
    RUNNING = "running"
    SETTLING = "settling"


@dataclass(slots=True)
class _Held:
    phase: Phase
    since: float
    begun_at: float | None = None


class Leases:
    """The register of the leases that one worker holds. Thread-safe. `limits_s` says how many seconds each phase may last."""

    def __init__(self, limits_s: Mapping[Phase, float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limits_s = limits_s
        self._monotonic = monotonic
        self._held: dict[Lease, _Held] = {}
        self._gone: set[Lease] = set()
        self._cancelled: set[Lease] = set()
        self._ending: set[Lease] = set()
        self._losses = 0
        self._released = 0
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> Self:
        """Make an empty register with the limits of the settings."""
        limits = (settings.waiting_limit_s, settings.running_limit_s, settings.settling_limit_s)
        return cls(dict(zip(Phase, limits, strict=True)), monotonic)

    def add(self, leases: Iterable[Lease]) -> None:
        """Hold these leases, which were just claimed: they wait for the engine."""
        now = self._monotonic()
        with self._lock:
            self._held.update({lease: _Held(Phase.WAITING, now) for lease in leases})

    def mark_running(self, lease: Lease) -> None:
        """Note that the engine has begun this row or answered one of its prompts. The time limit starts again."""
        self._enter(lease, Phase.RUNNING)

    def mark_settling(self, lease: Lease) -> bool:
        """Note that the row is finished and waits to be settled.

        Returns whether the lease is still held. If it is gone, nothing of the row may be written.
        """
        return self._enter(lease, Phase.SETTLING)

    def mark_ending(self, leases: Iterable[Lease]) -> None:
        """Note that these leases are about to be settled or released on the queue. They are renewed until they are removed."""
        with self._lock:
            self._ending.update(lease for lease in leases if lease in self._held)

    def remove(self, leases: Iterable[Lease], *, lost: Iterable[Lease] = ()) -> tuple[Lease, ...]:
        """Forget leases that were settled, released or abandoned.

        `lost` are the leases that were gone before they could be settled. Returns those of them that were held until now.
        """
        with self._lock:
            newly = tuple(lease for lease in lost if lease in self._held and lease not in self._gone)
            self._losses += len(newly)
            for lease in leases:
                self._held.pop(lease, None)
                for marked in (self._gone, self._cancelled, self._ending):
                    marked.discard(lease)
            return newly

    def count_released(self, number: int) -> None:
        """Count leases that were released on the queue."""
        with self._lock:
            self._released += number

    def start_release(self, *phases: Phase) -> list[Lease]:
        """Mark the leases in these phases as gone, so that nothing more is written of their rows, and return them.

        The caller then releases them on the queue.
        """
        with self._lock:
            found = [lease for lease, held in self._held.items() if held.phase in phases and lease not in self._gone]
            self._gone.update(found)
            return found

    def abandon_overdue(self, *, hung: bool) -> tuple[tuple[Lease, Phase], ...]:
        """Mark overdue leases as gone, so that they are no longer renewed. Returns them with their phases.

        A lease is overdue if its phase has lasted too long. If the engine is `hung`, all waiting and running leases are overdue
        too.
        """
        now = self._monotonic()
        with self._lock:
            overdue = tuple(
                (lease, held.phase)
                for lease, held in self._held.items()
                if lease not in self._gone
                and (now - held.since > self._limits_s[held.phase] or (hung and held.phase is not Phase.SETTLING))
            )
            self._gone.update(lease for lease, _ in overdue)
            self._losses += len(overdue)
            return overdue

    def mark_ended(
        self, *, lost: Iterable[Lease], cancelled: Iterable[Lease], forgotten: Collection[Lease] = ()
    ) -> tuple[Lease, ...]:
        """Note the answer to a beat (see `Beat`).

        Returns the leases that this answer shows as lost, without those that are being settled or released and those whose batch
        has ended.
        """
        with self._lock:
            known = self._held.keys() - self._gone - self._ending
            gone = [lease for lease in lost if lease in known]
            newly = tuple(lease for lease in gone if lease not in forgotten)
            self._gone.update(gone)
            self._losses += len(newly)
            self._cancelled.update(lease for lease in cancelled if lease in self._held)
            return newly

    def holds(self, lease: Lease) -> bool:
        """Whether this worker holds the lease: the worker has not given it up, and the queue has not answered that it is lost."""
        with self._lock:
            return lease in self._held and lease not in self._gone

    def renewable(self) -> tuple[Lease, ...]:
        """Return the leases to be renewed: all that are held and not gone."""
        with self._lock:
            return tuple(lease for lease in self._held if lease not in self._gone)

    def gone(self) -> frozenset[Lease]:
        """Return the leases that are lost, abandoned or about to be released, and not removed yet."""
        with self._lock:
            return frozenset(self._gone)

    def cancelled(self) -> frozenset[Lease]:
        """Return the leases whose batch was closed, and that are not removed yet."""
        with self._lock:
            return frozenset(self._cancelled)

    @property
    def holding(self) -> int:
        """How many leases are held, in all phases."""
        with self._lock:
            return len(self._held)

    @property
    def in_hand(self) -> int:
        """How many leases are waiting or running."""
        with self._lock:
            return sum(held.phase is not Phase.SETTLING for held in self._held.values())

    def begun(self) -> tuple[int, float]:
        """Return how many held leases are of rows that the engine has begun, and the mean seconds since then."""
        now = self._monotonic()
        with self._lock:
            begun = [held.begun_at for held in self._held.values() if held.begun_at is not None]
            return len(begun), now - sum(begun) / len(begun) if begun else 0.0

    @property
    def losses(self) -> int:
        """How many leases were ever lost, or abandoned because they were overdue."""
        with self._lock:
            return self._losses

    @property
    def released(self) -> int:
        """The number of leases that this worker has released on the queue so far."""
        with self._lock:
            return self._released

    def _enter(self, lease: Lease, phase: Phase) -> bool:
        now = self._monotonic()
        with self._lock:
            held = self._held.get(lease)
            if held is None or lease in self._gone:
                return False
            held.phase, held.since = phase, now
            if held.begun_at is None:
                held.begun_at = now
            return True
