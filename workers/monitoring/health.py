"""Health says whether the process of `work` is alive, and whether it is ready to do rows.

*Alive* is false only if a restart of the process would help: its own loop makes no round, though Redis and the storage answer.
While one of them is away the process waits, which is right, so it is alive, and not ready. *Ready* is true if Redis, the
storage, the cluster and the workers are all there. Both are answered from what is known already: nothing here waits.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workers.monitoring.probes import Answer, Probe, answers

STALL_S: Final = 3600.0
"""A loop that has made no round for this many seconds is stuck. This is far more than a round of a large fleet takes, because a
restart in the middle of one would do harm.
"""

FAULTS: Final = {"store_fault": "store", "queue_fault": "queue"}
"""The fields of a worker's status that report a fault, and the check that each of them fails."""


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of a fleet: how many it wants, how many of them answer, and how many of these have loaded their model."""

    wanted: int
    up: int
    loaded: int

    def fault(self) -> str:
        """Return why no worker can do rows; empty if one can, or if none is wanted."""
        if not self.wanted or self.loaded:
            return ""
        if not self.up:
            return f"none of {self.wanted} workers answers: they wait for room on the cluster, or start"
        return f"none of {self.up} workers has loaded its model yet"


@dataclass
class Health:
    """What is known of one process. The loop calls `beat`, any thread may ask `alive` and `ready`.

    `probes` are the questions to Redis and the storage, by the names `queue` and `store`. `phase` says what the process does
    before the first round and after the last; it is empty while the fleet works.
    """

    probes: dict[str, Probe] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    phase: str = "starting"
    crew: Crew = Crew(0, 0, 0)
    cluster_fault: str = ""
    _began: float = field(init=False)
    _beat_at: float | None = None
    _is_ending: bool = False
    _worker_faults: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.monotonic()

    def beat(self, wanted: int, statuses: Iterable[Mapping[str, Any]], *, cluster_fault: str = "") -> None:
        """Note that the loop has made a round, what the workers answered, and why the cluster is away, if it is."""
        answered = list(statuses)
        self._worker_faults = {
            check: f"{status['worker']}: {status[name]}"
            for name, check in FAULTS.items()
            for status in answered
            if status.get(name)
        }
        self.crew = Crew(wanted, len(answered), sum("load_s" in status for status in answered))
        self.cluster_fault, self._beat_at = cluster_fault, self.monotonic()
        self.phase = "" if not self._is_ending else self.phase

    def end(self) -> None:
        """Note that the process ends: it is not ready any more. Safe in a signal handler."""
        self._is_ending, self.phase = True, "ending"

    def alive(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether the process is alive, and the body that says so."""
        now = self.monotonic()
        body: dict[str, Any] = {"alive": True, "uptime_s": round(now - self._began, 1)}
        if self._beat_at is None:
            return True, body | {"phase": self.phase}
        silent_s = now - self._beat_at
        body["last_round_s"] = round(silent_s, 1)
        found = answers(self.probes)
        if silent_s > STALL_S and all(one.ok and one.for_s > STALL_S for one in found.values()):
            fault = f"the loop has made no round for {silent_s:.0f} s, though Redis and the storage answer: restart the process"
            return False, body | {"alive": False, "fault": fault}
        return True, body

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether the process is ready, and the body that says what is wrong."""
        found = answers(self.probes)
        checks = {name: self._service(name, found.get(name, Answer(None))) for name in ("store", "queue")}
        checks["fleet"] = _check(self.phase or self.cluster_fault)
        checks["workers"] = _check(self.crew.fault()) | {
            "wanted": self.crew.wanted,
            "up": self.crew.up,
            "loaded": self.crew.loaded,
        }
        ready = all(check["ok"] for check in checks.values())
        return ready, {"ready": ready, "checks": checks}

    def _service(self, name: str, answer: Answer) -> dict[str, Any]:
        """Return the check of Redis or the storage: it must answer, and no worker may report that it takes nothing."""
        if answer.ok is None:
            return _check("it has not been asked yet")
        fault = answer.fault or self._worker_faults.get(name, "")
        return _check(fault) | ({"for_s": round(answer.for_s, 1)} if answer.fault else {})


def _check(fault: str) -> dict[str, Any]:
    return {"ok": False, "fault": fault} if fault else {"ok": True}
