"""The leases that a worker holds, by phase, and how long each phase may last.

    waiting     claimed, and the engine has not begun it
    running     the engine works on one of its prompts
    settling    finished, and its outcome is not yet durable and reported

A lease in hand (waiting or running) is renewed until its phase has lasted longer than may be, and none of them while the
engine hangs: it is given up then, runs out, and another worker does the row. A settling one outlives a storage that is
away. Whoever owns a job asks `holds` before it writes anything of it. Safe to share between threads.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from jobs.lanes.job import Lease
from jobs.settings import Settings


class Phase(StrEnum):
    """Where a leased job is."""

    WAITING = "waiting"
    RUNNING = "running"
    SETTLING = "settling"


@dataclass(slots=True)
class _Held:
    phase: Phase
    since: float


class Leases:
    """The register. `limits_s` says how long each phase may last."""

    def __init__(self, limits_s: Mapping[Phase, float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limits_s = limits_s
        self._monotonic = monotonic
        self._held: dict[Lease, _Held] = {}
        self._lost: set[Lease] = set()
        self._losses = 0
        self._cancelled: set[Lease] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> Self:
        """With the limits of the settings."""
        limits = (settings.waiting_limit_s, settings.running_limit_s, settings.settling_limit_s)
        return cls(dict(zip(Phase, limits, strict=True)), monotonic)

    def hold(self, leases: Iterable[Lease]) -> None:
        """These were claimed: keep them from now on."""
        now = self._monotonic()
        with self._lock:
            self._held.update({lease: _Held(Phase.WAITING, now) for lease in leases})

    def running(self, lease: Lease) -> None:
        """The engine has begun this one, or has answered one of its prompts: its time counts from now."""
        self._enter(lease, Phase.RUNNING)

    def settling(self, lease: Lease) -> bool:
        """This one is finished. False when it is held no more: then nothing may be written of it."""
        return self._enter(lease, Phase.SETTLING)

    def let_go(self, leases: Iterable[Lease]) -> None:
        """These are settled, released or dropped: they are no longer ours to think of."""
        with self._lock:
            for lease in leases:
                self._held.pop(lease, None)
                self._lost.discard(lease)
                self._cancelled.discard(lease)

    def take_back(self, *phases: Phase) -> list[Lease]:
        """Take all that are in these phases from whoever works on them, so that they can be released."""
        with self._lock:
            taken = [lease for lease, held in self._held.items() if held.phase in phases and lease not in self._lost]
            self._lost.update(taken)
            return taken

    def holds(self, lease: Lease) -> bool:
        """Whether it is ours still, as far as we know."""
        with self._lock:
            return lease in self._held and lease not in self._lost

    @property
    def holding(self) -> int:
        """How many there are, of all phases."""
        with self._lock:
            return len(self._held)

    @property
    def in_hand(self) -> int:
        """How many are waiting or running."""
        with self._lock:
            return sum(held.phase is not Phase.SETTLING for held in self._held.values())

    @property
    def losses(self) -> int:
        """How many were ever lost or given up."""
        with self._lock:
            return self._losses

    def lost(self) -> frozenset[Lease]:
        """Those that are gone, given up or taken back, until they are let go."""
        with self._lock:
            return frozenset(self._lost)

    def cancelled(self) -> frozenset[Lease]:
        """Those whose batch was closed."""
        with self._lock:
            return frozenset(self._cancelled)

    def renewable(self, *, hung: bool) -> tuple[tuple[Lease, ...], tuple[tuple[Lease, Phase], ...]]:
        """What to renew now, and what is given up from now on: overdue, or in hand while the engine is `hung`."""
        now = self._monotonic()
        with self._lock:
            held = [(lease, one) for lease, one in self._held.items() if lease not in self._lost]
            given_up = tuple(
                (lease, one.phase)
                for lease, one in held
                if now - one.since > self._limits_s[one.phase] or (hung and one.phase is not Phase.SETTLING)
            )
            self._lost.update(lease for lease, _ in given_up)
            self._losses += len(given_up)
            return tuple(lease for lease, _ in held if lease not in self._lost), given_up

    def report(self, lost: Iterable[Lease], cancelled: Iterable[Lease]) -> None:
        """What the queue said of them."""
        with self._lock:
            gone = {lease for lease in lost if lease in self._held} - self._lost
            self._lost |= gone
            self._losses += len(gone)
            self._cancelled.update(lease for lease in cancelled if lease in self._held)

    def _enter(self, lease: Lease, phase: Phase) -> bool:
        now = self._monotonic()
        with self._lock:
            held = self._held.get(lease)
            if held is None or lease in self._lost:
                return False
            held.phase, held.since = phase, now
            return True
