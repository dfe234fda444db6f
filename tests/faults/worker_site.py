"""A store, a server and workers as processes, for tests that break what is between them.

Nothing of Ray: each worker is a process of its own on the stub engine, and the test itself sweeps. `finish` works off
whatever is left, and sees that I1 to I6 hold.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import redis

from jobs.batch import BatchPaths, Done
from jobs.intake import IntakeOptions, accept
from jobs.job_queue import LaneSnapshot
from jobs.kinds.registry import load_kinds
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.published import OUTPUT, read_published, read_usage, verify
from jobs.redis_queue import RedisQueue
from jobs.rounds import is_open, latest_done, load_batch
from jobs.segment import Outcome, read_outcomes
from jobs.settings import Settings
from jobs.storage import Store
from jobs.sweep import Sweeper
from jobs.usage import NAMES, Usage, total

LANE: Final = "stub"
ROWS: Final = 120
LEASE_S: Final = 1.0
MOST_ATTEMPTS: Final = 3
GRACE_S: Final = 5.0
"""How long a worker may take that is told to end by SIGTERM."""

ENTRY: Final = f"""
import signal, sys
from jobs.settings import Settings
from workers.worker import Worker, WorkerPlan
worker = Worker(WorkerPlan(sys.argv[1], "stub", sys.argv[2], Settings()))
signal.signal(signal.SIGTERM, lambda *_: worker.stop({GRACE_S}))
worker.run()
"""
TOML: Final = """
lease_s = {lease_s}
flush_s = 0.1
scan_s = 0.2
max_attempts = 3
backoff_s = 0.05
breaker_rows = 0
{more}
[models.stub]
engine = "stub"
options = {{ step_s = {step_s}, slots = 8{options} }}
"""


@dataclass
class Site:
    """A store, a server, and the workers of one test. `options` are more of the engine's, `more` are settings."""

    folder: Path
    server: Any
    until: Callable[..., Any]
    options: str = ""
    more: str = ""
    lease_s: float = LEASE_S
    step_s: float = 0.004
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.configure()
        self.store = Store.open(str(self.folder / ".nightpress/store"))
        self.settings = Settings(
            store_url=self.store.url,
            model="stub",
            breaker_rows=0,
            scan_s=0.05,
            lease_s=self.lease_s,
            max_attempts=MOST_ATTEMPTS,
        )
        self._connect(self.server)

    def configure(self, **given: Any) -> None:
        """Change what holds for workers that start from now on."""
        for name, value in given.items():
            setattr(self, name, value)
        text = TOML.format(options=self.options, more=self.more, lease_s=self.lease_s, step_s=self.step_s)
        (self.folder / "nightpress.toml").write_text(text)

    def submit(
        self, rows: int = ROWS, deadline: datetime | None = None, first: Mapping[str, Any] | None = None, **fields: Any
    ) -> str:
        """Make a batch. `fields` are those of each row, `first` of the first row alone."""
        lines = [
            json.dumps({"kind": "chat", "prompt": f"Say {n}.", **fields, **((first or {}) if n == 0 else {})}).encode()
            for n in range(rows)
        ]
        options = IntakeOptions(name="night", deadline=deadline)
        made = accept(self.store, lines, options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch.batch_id

    def work(
        self, url: str = "", env: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """One more worker: w0, w1 and so on. It finds its server at `url`, and is started by the command `under`."""
        name = f"w{len(self.workers)}"
        with (self.folder / f"worker-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*under, sys.executable, "-c", ENTRY, name, url or self.server.url],
                cwd=self.folder,
                env={key: value for key, value in os.environ.items() if not key.startswith("NIGHTPRESS_")}
                | dict(env or {}),
                stdout=log,
                stderr=log,
            )
        self.workers.append(process)
        return process

    def move_to(self, server: Any) -> None:
        """Another server takes the place of the first."""
        self.client.close()
        self.queue.close()
        self._connect(server)

    def _connect(self, server: Any) -> None:
        self.server = server
        self.client = redis.Redis.from_url(server.url)
        self.queue = RedisQueue.from_url(server.url, max_attempts=MOST_ATTEMPTS)

    def sha(self, script: str) -> bytes:
        """By what a script of the queue is called on the wire."""
        return str(self.queue._scripts[script].sha).encode()

    def lane(self) -> LaneSnapshot:
        return self.queue.snapshot(LANE)

    def leased(self, rows: int = 1) -> None:
        """Wait until so many rows are in hand."""
        self.until(lambda: self.lane().leased >= rows, 60, f"{rows} rows in hand: {self.logs()}")

    def outcomes(self, batch_id: str) -> int:
        """Rows that have an outcome in storage."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        index = OutcomeIndex(self.store, batch)
        index.refresh()
        return batch.rows - index.missing

    def at_least(self, batch_id: str, rows: int) -> None:
        self.until(lambda: self.outcomes(batch_id) >= rows, 60, f"{rows} rows: {self.logs()}")

    def lines(self, batch_id: str, worker: str = "") -> list[Outcome]:
        """What segments say, of all workers or of one."""
        paths = BatchPaths(batch_id)
        names = [name for name in self.store.list(paths.segments) if name.startswith(f"{worker}-" if worker else "")]
        return [line for name in names for line in read_outcomes(self.store, paths.segment(name))]

    def segments(self, batch_id: str) -> int:
        return len(self.store.list(BatchPaths(batch_id).segments))

    def winners(self, batch_id: str) -> set[str]:
        """The workers whose lines were published."""
        done = latest_done(self.store, batch_id)
        assert done is not None
        return {row["worker"] for row in read_published(self.store, done, batch_id, OUTPUT)}

    def sweep(self) -> None:
        batches = OpenBatches(self.store, scan_s=0.0)
        Sweeper(self.store, self.queue, batches, self.settings.prices).sweep()

    def finish(self, batch_id: str) -> None:
        """Sweep until the batch is published, then see that I1 to I6 hold."""

        def published() -> bool:
            self.sweep()
            return not is_open(self.store, batch_id)

        self.until(published, 90, f"the batch to be published: {self.logs()}")
        self.check(batch_id)

    def check(self, batch_id: str) -> None:
        """See that I1 to I6 hold of a published batch."""
        assert verify(self.store, batch_id) == []  # I1, I2, I3
        lane = self.until(self.idle, 10, "I4: no job outlives its batch")
        assert (lane.ready, lane.delayed, lane.leased) == (0, 0, 0)
        attempts = Counter(line.row for line in self.lines(batch_id) if line.status == "failed")
        assert max(attempts.values(), default=0) <= MOST_ATTEMPTS  # I5
        done = latest_done(self.store, batch_id)
        assert done is not None
        usage = read_usage(self.store, done, batch_id)
        lines = [
            line
            for name in self._used(batch_id, done)
            for line in read_outcomes(self.store, BatchPaths(batch_id).segment(name))
        ]
        spent = total(line.usage + line.wasted for line in lines)
        accounted = Usage.from_dict(usage) + Usage.from_dict(usage["wasted"])
        costs = [name for name in NAMES if name != "charge"]
        assert [getattr(accounted, name) for name in costs] == [getattr(spent, name) for name in costs]  # I6
        assert "Traceback" not in self.logs(), self.logs()

    def idle(self) -> LaneSnapshot | None:
        """The lane, if no job is on it."""
        lane = self.lane()
        return None if lane.ready or lane.delayed or lane.leased else lane

    def _used(self, batch_id: str, done: Done) -> Sequence[str]:
        """The segments that the publisher counted: all, but for those that came after it."""
        paths = BatchPaths(batch_id)
        root = Path(self.store.url)
        by_age = sorted(self.store.list(paths.segments), key=lambda name: (root / paths.segment(name)).stat().st_mtime)
        for last in range(len(by_age), -1, -1):
            names = sorted(by_age[:last])
            if hashlib.sha256("\n".join(names).encode()).hexdigest() == done.segments_sha256:
                return names
        raise AssertionError("the publisher counted segments that are not there")

    def counts(self, batch_id: str) -> dict[str, int]:
        raw = self.store.read(BatchPaths(batch_id).done(1))
        found: dict[str, int] = json.loads(raw)["counts"]
        return {status: count for status, count in found.items() if count}

    def log(self, worker: str) -> str:
        return (self.folder / f"worker-{worker}.log").read_text()

    def logs(self) -> str:
        return "".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """What all workers logged under a name; `timestamp` says when."""
        for path in sorted(self.folder.glob("*.log")):
            for line in path.read_text().splitlines():
                if f'"event": "{name}"' in line:
                    yield json.loads(line)

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.client.close()
        self.queue.close()
