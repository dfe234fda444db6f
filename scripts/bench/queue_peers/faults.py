"""What a fault costs each system of `bench/lanes.py`: jobs without a result, jobs with two, and the time to recover.

The same is done to all. Jobs of 10 ms are enqueued and a worker is started, which may have 8 in hand. The faults are spread
evenly over the drain, and after each another worker is started:

- `kill`: SIGKILL, at any moment.
- `unacked`: SIGKILL at the moment when a job's result was stored, before the worker goes on: where storing and
  acknowledging are two steps, it falls between them. Ours stores outcomes as a segment, and settles them afterwards.
- `stop`: SIGSTOP at any moment. When the others have done all there is, those that stood still go on (SIGCONT). Only in the
  settings that keep most: by default some give a job to another worker after an hour.

What is counted: `again` are jobs whose body ran to its end more than once, written down by the body itself as its last
act, so it is how often an effect of its own happened. `twice` are jobs of which two results could be read: a peer's worker
writes down each result of success as soon as its own result store has taken it. Nightpress keeps the outcomes of all
attempts in its segments, and what can be read, and is billed, is the published row: `twice` counts a row that is published
twice, and the bench fails if what was published before a stopped worker goes on differs afterwards. `lost` are jobs whose
result is not in the store in the end, or is a failure there: asked of the peer's own store by its own interface, and of
the published files. The end is when nothing has happened for `--wait` seconds, then a job more was enqueued, since some
look for what was left only when they are given something, and again nothing happened for as long. `s` are the seconds from
the last fault until the last job had a result; what is done only when a stopped worker goes on is not in it.
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
"""How many jobs a worker may have in hand."""
QUIET_S: Final = 15.0
"""How long nothing must have happened after the stopped workers go on: three times what a durable setting takes to redeliver."""


def tally(jobs: int, ran: Iterable[str], stored: Iterable[str], readable: Iterable[str]) -> dict[str, int]:
    """Jobs lost, with two results, and run again: from a line a run, a line a result stored, and a line a result to be read."""
    wanted = {str(n) for n in range(jobs)}
    runs, results, found = (Counter(n for n in lines if n in wanted) for lines in (ran, stored, readable))
    return {
        "lost": len(wanted - found.keys()),
        "twice": sum(count > 1 for count in (results | found).values()),
        "again": sum(count > 1 for count in runs.values()),
    }


@dataclass(frozen=True)
class Record:
    """What workers write down: a line when a body has ended, and one when a result was stored."""

    path: Path

    def clear(self) -> None:
        """Forget it."""
        for kind in ("ran", "stored"):
            self._file(kind).unlink(missing_ok=True)

    def lines(self, kind: str) -> list[str]:
        """Those of one kind."""
        file = self._file(kind)
        return file.read_text().split() if file.exists() else []

    def events(self) -> int:
        """How many lines there are."""
        return len(self.lines("ran")) + len(self.lines("stored"))

    def _file(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{kind}")


@dataclass(frozen=True)
class Trial:
    """One system under one fault, `count` times."""

    bench: Bench
    name: str
    fault: str
    count: int
    jobs: int
    wait_s: float
    kept: bool

    @property
    def record(self) -> Record:
        """Where its workers write."""
        return Record(self.bench.folder / f"{self.name}.log")

    def run(self) -> dict[str, int]:
        """Enqueue, break, wait for the end, and count."""
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
            sys.exit(f"{self.name}: what was published changed when a stopped worker went on")
        readable, stored = map(str, after["good"]), self.record.lines("stored")
        ours = self.name == "nightpress"
        found = tally(self.jobs, self.record.lines("ran"), () if ours else stored, readable)
        return {"n": struck, **found, "s": math.ceil(max(recovered - last, 0))}

    def _strike(self, worker: "subprocess.Popen[str]", n: int) -> bool:
        """Wait for the moment of the n-th fault, and do it; False when it does not come."""
        share = self.jobs * n // (self.count + 1)
        if self.fault == "unacked":
            self._until(lambda: worker.poll() is not None, self.wait_s)
            return worker.poll() == -signal.SIGKILL
        self._until(lambda: len(set(self.record.lines("ran"))) >= share, self.wait_s)
        if len(set(self.record.lines("ran"))) < share:
            return False
        os.killpg(worker.pid, signal.SIGSTOP if self.fault == "stop" else signal.SIGKILL)
        return True

    def _until_done(self) -> float:
        """Until nothing happens any more. Returns when a job had its first result at last."""
        recovered = self._until(lambda: False, self.wait_s)
        if len(self._with_result()) < self.jobs and self.name != "nightpress":
            self._step("enqueue", JOBS=1, FIRST=self.jobs)
            recovered = max(recovered, self._until(lambda: False, self.wait_s))
        return recovered

    def _until(self, holds: Callable[[], bool], wait_s: float) -> float:
        """Until it holds, or nothing has happened for so long. Returns when a job had its first result at last, if one had."""
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

    def _asked(self) -> dict[str, Any]:
        return {"DURABLE": int(self.kept), "RESULTS": 1, "BATCH": HANDS, "LEASE_S": 5 if self.kept else 60}

    def _start(self, workers: contextlib.ExitStack, **asked: object) -> "subprocess.Popen[str]":
        jobs = 10**9 if self.name == "nightpress" else self.jobs
        worker = {**self._asked(), "JOBS": jobs, "JOB_S": JOB_S, "LOG": self.record.path, **asked}
        return workers.enter_context(self.bench.started(self.name, "work", **worker))[0]

    def _step(self, step: str, **asked: object) -> dict[str, Any]:
        return self.bench.step(self.name, step, **self._asked(), **asked)

    def _readable(self) -> dict[str, Any]:
        return self._step("results", JOBS=self.jobs)


def lines(found: dict[str, dict[str, dict[str, dict[str, int]]]]) -> list[str]:
    """A table for each fault: what it cost each system in its default settings, and in those that keep most."""
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
