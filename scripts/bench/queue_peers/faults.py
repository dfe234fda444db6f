"""Measures the cost of a fault for each system of `bench/lanes.py`: lost jobs, doubled results, repeated runs, recovery time.

All systems are treated alike. Jobs of 10 ms are enqueued, and a worker is started that may hold 8 jobs. The faults are spread
evenly over the drain, and after each fault another worker is started. The faults are:

- `kill`: SIGKILL, at any moment.
- `unacked`: SIGKILL right after a job's result was stored. If a system stores a result and acknowledges its job in two steps,
  the kill falls between the two. Nightpress stores outcomes as a segment, and settles their jobs afterwards.
- `stop`: SIGSTOP at any moment. When the running workers have nothing left to do, the stopped workers continue (SIGCONT). This
  fault is caused only with the `kept` settings, because by default some systems give a job to another worker only after an hour.

The columns:

- `again` counts jobs whose body ran to its end more than once. As its last act, the body logs the run.
- `twice` counts jobs with two results. A peer's worker logs each successful result as soon as the peer's store has accepted the
  result. Nightpress keeps the outcomes of all attempts in its segments, but only the published row can be read and is billed. So
  for Nightpress `twice` counts rows that are published twice, and the benchmark fails if published rows change after a stopped
  worker continues.
- `lost` counts jobs that have no successful result in the end. The peer's store is asked through the peer's own interface. For
  Nightpress, the published files are read.
- `s` is the number of seconds from the last fault until each job that has a result got its first result. Results that come only
  after a stopped worker continues are not included.

A drain has ended when nothing has happened for `--wait` seconds. If a peer lacks results at that time, one more job is enqueued,
and the same wait follows. Some peers need this job, because they look for a dead worker's jobs only when they get a new job.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.bench.queue_peers.contenders import Bench

FAULTS: Final = ("kill", "unacked", "stop")
JOB_S: Final = 0.01
HANDS: Final = 8
"""Each worker may hold at most this many jobs."""
QUIET_S: Final = 15.0
"""After the stopped workers continue, the drain has ended when nothing has happened for this many seconds.

This is three times REDELIVER_S, the time after which a job is given to another worker in the `kept` settings.
"""


def tally(jobs: int, ran: Iterable[str], stored: Iterable[str], readable: Iterable[str]) -> dict[str, int]:
    """Count the jobs that are lost, that have two results, and that ran again. Returns the counts by the columns' names.

    Each list holds numbers of jobs: `ran` has a number for each run, `stored` for each result that was stored, and `readable` for
    each result that can be read in the end. Numbers from `jobs` on are ignored.
    """
    wanted = {str(n) for n in range(jobs)}
    runs, results, found = (Counter(n for n in lines if n in wanted) for lines in (ran, stored, readable))
    return {
        "lost": len(wanted - found.keys()),
        "twice": sum(count > 1 for count in (results | found).values()),
        "again": sum(count > 1 for count in runs.values()),
    }


@dataclass(frozen=True)
class Record:
    """The two logs of the workers: `ran` has a line for each run of a job, and `stored` has a line for each stored result."""

    path: Path

    def clear(self) -> None:
        """Delete both logs."""
        for kind in ("ran", "stored"):
            self._file(kind).unlink(missing_ok=True)

    def lines(self, kind: str) -> list[str]:
        """Return the lines of the log `kind`, which is `ran` or `stored`."""
        file = self._file(kind)
        return file.read_text().split() if file.exists() else []

    def events(self) -> int:
        """Return the number of lines in both logs."""
        return len(self.lines("ran")) + len(self.lines("stored"))

    def _file(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{kind}")


@dataclass(frozen=True)
class Trial:
    """One drain of the system `name`, in which the fault occurs `count` times.

    The drain counts as ended when nothing has happened for `wait_s` seconds. With `kept` the system runs with its safest
    settings, which keep the jobs of a dead worker (see `contenders.py`). Without `kept` it runs with its defaults.
    """

    bench: Bench
    name: str
    fault: str
    count: int
    jobs: int
    wait_s: float
    kept: bool

    @property
    def record(self) -> Record:
        """The logs of this system's workers."""
        return Record(self.bench.folder / f"{self.name}.log")

    def run(self) -> dict[str, int]:
        """Enqueue the jobs, break workers, and wait for the end. Returns the counts by the columns' names."""
        self.bench.empty()
        self.record.clear()
        self._step("enqueue", JOBS=self.jobs)
        struck, last = 0, time.monotonic()
        with contextlib.ExitStack() as workers:
            stopped = []
            for n in range(1, self.count + 1):
                worker = self._start(workers, DIE_AFTER=self.jobs // (self.count + 1) if self.fault == "unacked" else 0)
                if not self._strike(worker, n):
                    break
                struck, last = n, time.monotonic()
                stopped.append(worker)
            self._start(workers)
            recovered = self._until_done()
            before = self._readable() if self.fault == "stop" else None
            if self.fault == "stop":
                for worker in stopped:
                    os.killpg(worker.pid, signal.SIGCONT)
                self._until(lambda: False, QUIET_S)
        after = self._readable()
        if before and before["good"] and before.get("digest") != after.get("digest"):
            sys.exit(f"{self.name}: published rows changed after a stopped worker continued")
        readable, stored = map(str, after["good"]), self.record.lines("stored")
        ours = self.name == "nightpress"
        found = tally(self.jobs, self.record.lines("ran"), () if ours else stored, readable)
        return {"n": struck, **found, "s": math.ceil(max(recovered - last, 0))}

    def _strike(self, worker: "subprocess.Popen[str]", n: int) -> bool:
        """Wait for the moment of the n-th fault, and cause the fault. Returns False if the moment does not come."""
        due = self.jobs * n // (self.count + 1)
        if self.fault == "unacked":
            self._until(lambda: worker.poll() is not None, self.wait_s)
            return worker.poll() == -signal.SIGKILL
        self._until(lambda: len(set(self.record.lines("ran"))) >= due, self.wait_s)
        if len(set(self.record.lines("ran"))) < due:
            return False
        os.killpg(worker.pid, signal.SIGSTOP if self.fault == "stop" else signal.SIGKILL)
        return True

    def _until_done(self) -> float:
        """Wait until nothing happens any more. Returns the last time at which a job got its first result; 0 if no job did."""
        recovered = self._until(lambda: False, self.wait_s)
        if len(self._with_result()) < self.jobs and self.name != "nightpress":
            self._step("enqueue", JOBS=1, FIRST=self.jobs)
            recovered = max(recovered, self._until(lambda: False, self.wait_s))
        return recovered

    def _until(self, holds: Callable[[], bool], wait_s: float) -> float:
        """Wait until `holds` returns True, or until nothing has happened for `wait_s` seconds.

        Returns the last time within the wait at which a job got its first result; 0 if no job did.
        """
        events, with_result = -1, len(self._with_result())
        since, last = time.monotonic(), 0.0
        while not holds() and time.monotonic() - since < wait_s:
            if (now := self.record.events()) != events:
                events, since = now, time.monotonic()
            if (now := len(self._with_result())) != with_result:
                with_result, last = now, time.monotonic()
            time.sleep(0.02)
        return last

    def _with_result(self) -> set[str]:
        return set(self.record.lines("stored")) - {str(self.jobs)}

    def _options(self) -> dict[str, Any]:
        return {"DURABLE": int(self.kept), "RESULTS": 1, "BATCH": HANDS, "LEASE_S": 5 if self.kept else 60}

    def _start(self, workers: contextlib.ExitStack, **options: object) -> "subprocess.Popen[str]":
        jobs = 10**9 if self.name == "nightpress" else self.jobs
        worker = {**self._options(), "JOBS": jobs, "JOB_S": JOB_S, "LOG": self.record.path, **options}
        return workers.enter_context(self.bench.started(self.name, "work", **worker))[0]

    def _step(self, step: str, **options: object) -> dict[str, Any]:
        return self.bench.step(self.name, step, **self._options(), **options)

    def _readable(self) -> dict[str, Any]:
        return self._step("results", JOBS=self.jobs)


def lines(found: dict[str, dict[str, dict[str, dict[str, int]]]]) -> list[str]:
    """Return the lines of all tables. There is a table for each fault, with a line for each system.

    `found` holds the counts of `Trial.run`, by fault, system and settings (`default` or `kept`).
    """
    widths = {"n": 10, "lost": 6, "twice": 6, "again": 7, "s": 5}
    made = []
    for fault, systems in found.items():
        settings = list(dict.fromkeys(which for each in systems.values() for which in each))
        head = "".join(
            f"{f'{which}: n' if key == 'n' else key:>{width}}" for which in settings for key, width in widths.items()
        )
        made += ["", f"{fault:12}{head}"]
        for name, each in systems.items():
            cells = (f"{each[which][key]:>{width},}" for which in settings for key, width in widths.items())
            made.append(f"{name:12}{''.join(cells)}")
    return made
