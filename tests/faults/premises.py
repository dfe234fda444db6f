"""The premises of a fault test: a store of any kind, a server, workers and commands as processes, and what must hold at the end.

Nothing of Ray, unless a command brings it: each worker is a process of its own on the stub engine, and the test itself sweeps.
`finish` works off whatever is left, and sees that I1 to I6 hold. The ways to spoil a store are in `storage_faults.py`, a
network in `cut_network.py`, a clock in `wrong_clock.py`.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import redis

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import ERRORS, OUTPUT, read_published, read_usage, verify
from jobs.batches.rounds import is_open, latest_done, load_batch
from jobs.batches.segments.files import each_outcome
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.name import SegmentName
from jobs.batches.segments.segment import read_outcomes
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import LaneSnapshot
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import sources
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import NAMES, Usage, total
from tests.faults.attempt_checks import attempts_too_many
from tests.faults.lane_checks import lane_faults

LANE: Final = "stub"
ROWS: Final = 120
MOST_ATTEMPTS: Final = 3
LEASE_S: Final = 1.0
GRACE_S: Final = 5.0
"""How long a worker may take that is told to end by SIGTERM."""
QUIET_S: Final = 1.0
BUSY_S: Final = 15.0
EVEN: Final[Mapping[str, Any]] = {"prompt": lambda _: "Tell a long story.", "seed": 40}
"""Fields of rows that all say as many words as `max_tokens` lets them, up to 118. Of others some say one and some 119."""

ENTRY: Final = f"""
import signal, sys
from jobs.settings import Settings
from workers.worker.worker import Worker, WorkerPlan
worker = Worker(WorkerPlan(sys.argv[1], "stub", sys.argv[2], Settings()))
signal.signal(signal.SIGTERM, lambda *_: worker.stop({GRACE_S}))
worker.run()
"""
NIGHTPRESS: Final = str(Path(sys.executable).with_name("nightpress"))


def slack_s() -> float:
    """What the machine may add to a time that was promised: little, and more where others want its cores as well."""
    wanted = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(QUIET_S * max(wanted, 1.0), BUSY_S)


@dataclass
class Premises:
    """The store, the server and the processes of one test. `stub` are options of the engine, `more` any settings."""

    folder: Path
    server: Any
    until: Callable[..., Any]
    store_url: str = ""
    store_options: Mapping[str, str] = field(default_factory=dict)
    stub: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _sweeper: Sweeper | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.store_url = self.store_url or str(self.folder / "store")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")}
        self.store = open_store(self.store_url, self.store_options)
        self.configure()
        self._connect(self.server)

    def configure(self, **given: Any) -> None:
        """Change what holds for processes that start from now on: fields of this class."""
        for name, value in given.items():
            setattr(self, name, value)
        settings = {
            "store_url": self.store_url,
            "store_options": dict(self.store_options),
            "redis_url": self.server.url,
            "model": LANE,
            "lease_s": LEASE_S,
            "flush_s": 0.1,
            "batch_scan_s": 0.2,
            "max_attempts": MOST_ATTEMPTS,
            "backoff_s": 0.05,
            "breaker_rows": 0,
            "spool_dir": str(self.folder / "spool"),
            "cache_dir": str(self.folder / "cache"),
            "models": {LANE: {"engine": "stub", "options": {"step_s": 0.004, "slots": 8, **self.stub}}},
            **self.more,
        }
        self.settings = Settings(**settings)
        (self.folder / "nightpress.toml").write_text(_toml(settings))

    def _connect(self, server: Any) -> None:
        self.server = server
        self.client = redis.Redis.from_url(server.url)
        self.queue = RedisQueue.from_settings(self.settings, server.url)
        self._sweeper = None

    def move_to(self, server: Any) -> None:
        """Another server takes the place of the first."""
        self._disconnect()
        self._connect(server)

    def _disconnect(self) -> None:
        self.client.close()
        self.queue.close()

    def close(self) -> None:
        """End every process that is left."""
        for process in (*self.workers, *self._others):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self._disconnect()

    def submit(
        self,
        rows: int = ROWS,
        *,
        prompt: Callable[[int], str] = "Say {}.".format,
        deadline: datetime | None = None,
        first: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """A batch of chats. `fields` are those of each row, `first` of the first row alone."""
        lines = [{"kind": "chat", "prompt": prompt(n), **fields} for n in range(rows)]
        return self.submit_lines([{**lines[0], **(first or {})}, *lines[1:]], deadline)

    def submit_lines(self, rows: Sequence[Mapping[str, Any]], deadline: datetime | None = None) -> str:
        """A batch of these rows, which this process makes."""
        lines = [json.dumps(row).encode() for row in rows]
        options = IntakeOptions(name="night", deadline=deadline)
        made = accept(self.store, lines, options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch.batch_id

    def work(
        self, url: str = "", env: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """One more worker: w0, w1 and so on. It finds its server at `url`, and is started by the command `under`."""
        name = f"w{len(self.workers)}"
        command = [*under, sys.executable, "-c", ENTRY, name, url or self.server.url]
        self.workers.append(self._logged(f"worker-{name}", command, {**self.env, **(env or {})}))
        return self.workers[-1]

    def replace_the_dead(self, n: int = 1) -> None:
        """Have `n` workers alive, as a fleet would."""
        for _ in range(n - sum(process.poll() is None for process in self.workers)):
            self.work()

    def run_code(self, code: str, *args: str) -> subprocess.Popen[bytes]:
        """A process of ours on some code, whose output is a log of these premises."""
        return self._other([sys.executable, "-c", code, *args], self.env)

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """A call of the command line that goes on beside the test, and whose output is a log of these premises."""
        return self._other([NIGHTPRESS, *words], {**self.env, **env}, start_new_session=True)

    def _other(self, command: Sequence[str], env: Mapping[str, str], **how: Any) -> subprocess.Popen[bytes]:
        self._others.append(self._logged(f"process-{len(self._others):03}", command, env, **how))
        return self._others[-1]

    def _logged(self, name: str, command: Sequence[str], env: Mapping[str, str], **how: Any) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log, **how)

    def command(self, *args: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """One call of the command line, to its end."""
        return subprocess.run(
            [NIGHTPRESS, *args],
            cwd=self.folder,
            env=self.env,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def at_least(self, batch_id: str, rows: int) -> None:
        """Wait until so many rows have an outcome in storage."""
        self.until(lambda: self.outcomes(batch_id) >= rows, 150, f"{rows} rows: {self.logs()}")

    def at_work(self, batch_id: str) -> None:
        """Assert that rows of a batch are left: a fault that comes after all of them tells nothing."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        assert self.outcomes(batch_id) < batch.rows, "it was done before"

    def outlast(self, leases: float = 2.0) -> None:
        """Wait so long that leases which nobody renewed would have run out."""
        since = time.monotonic()
        self.until(lambda: time.monotonic() - since > leases * self.settings.lease_s, 3600)

    def outcomes(self, batch_id: str) -> int:
        """Rows that have an outcome in storage."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        index = OutcomeIndex(self.store, batch)
        index.refresh()
        return batch.rows - index.missing

    def lines(self, batch_id: str, worker: str = "") -> list[Outcome]:
        """Every line of every segment, of all workers or of one. A torn segment would raise."""
        paths = BatchPaths(batch_id)
        if not worker:
            return list(each_outcome(self.store, paths))
        names = [name for name in self.store.list(paths.segments) if SegmentName.parse(name).worker == worker]
        return [line for name in names for line in read_outcomes(self.store, paths.segment(name))]

    def completed(self, batch_id: str, worker: str) -> int:
        """How many rows a worker says that it has completed."""
        return sum(line.status == "completed" for line in self.lines(batch_id, worker))

    def segments(self, batch_id: str) -> int:
        return len(self.store.list(BatchPaths(batch_id).segments))

    def sweep(self) -> None:
        """One look of this process's sweeper."""
        if self._sweeper is None:
            batches = OpenBatches(self.store, batch_scan_s=0.0)
            self._sweeper = Sweeper(
                self.store,
                self.queue,
                batches,
                self.settings.prices,
                compact_segments=self.settings.compact_segments,
            )
        self._sweeper.sweep()

    def finish(self, batch_id: str, *, workers: int = 0, timeout_s: float = 90.0) -> dict[str, int]:
        """Sweep until the batch is published, with that many workers kept alive; then see that I1 to I6 hold.

        Returns how many rows have each status.
        """

        def published() -> bool:
            self.replace_the_dead(workers) if workers else None
            self.sweep()
            return not is_open(self.store, batch_id)

        self.until(published, timeout_s, f"the batch to be published: {self.logs()}")
        return self.check(batch_id)

    def check(self, batch_id: str) -> dict[str, int]:
        """See that I1 to I6 hold of a published batch. Returns how many rows have each status."""
        assert verify(self.store, batch_id) == []  # I1, I2, I3
        self.until(lambda: self.live(batch_id) == 0, 10, "I4: no job outlives its batch")
        self.until(lambda: not self.lane_faults(), 10, "I4: each job in one state")
        assert attempts_too_many(self.lines(batch_id), MOST_ATTEMPTS) == [], "I5"
        done = latest_done(self.store, batch_id)
        assert done is not None
        usage = read_usage(self.store, done, batch_id)
        lines = self._counted(batch_id, done)
        assert max((line.round for line in lines), default=0) <= done.round
        spent = total(line.usage + line.wasted for line in lines)
        accounted = Usage.from_dict(usage) + Usage.from_dict(usage["wasted"])
        costs = [name for name in NAMES if name != "charge"]
        assert [getattr(accounted, name) for name in costs] == [getattr(spent, name) for name in costs], "I6"
        assert b"Traceback" not in self.raw_logs(), self.logs()
        return {status: count for status, count in done.counts.items() if count}

    def _counted(self, batch_id: str, done: Done) -> list[Outcome]:
        """What the segments say that the publisher counted: all, but for those that came after it."""
        paths = BatchPaths(batch_id)
        names = self.store.list(paths.segments)
        with contextlib.suppress(OSError):  # an object store keeps no order: there all must have been counted
            names.sort(key=lambda name: (Path(self.store.url) / paths.segment(name)).stat().st_mtime)
        for last in range(len(names), -1, -1):
            counted = sorted(names[:last])
            if hashlib.sha256("\n".join(counted).encode()).hexdigest() == done.segments_sha256:
                return [line for name in counted for line in read_outcomes(self.store, paths.segment(name))]
        raise AssertionError("the publisher counted segments that are not there")

    def live(self, batch_id: str) -> int:
        """Jobs of a batch on the queue."""
        schedule = self.lane().batches.get(batch_id)
        return 0 if schedule is None else schedule.live

    def lane_faults(self) -> list[str]:
        """What is wrong with the keys of the lane."""
        return lane_faults(self.client, LANE)

    def lane(self) -> LaneSnapshot:
        return self.queue.snapshot(LANE)

    def leased(self, rows: int = 1) -> None:
        """Wait until so many rows are in hand, and a worker says so: before that the claim's reply may still be lost."""

        def known() -> bool:
            lane = self.lane()
            return lane.leased >= rows and any(one.running for one in lane.workers)

        self.until(known, 150, f"{rows} rows in hand: {self.logs()}")

    def idle(self) -> LaneSnapshot | None:
        """The lane, if no job is on it."""
        lane = self.lane()
        return None if lane.ready or lane.delayed or lane.leased else lane

    def sha(self, script: str) -> bytes:
        """By what a script of the queue is called on the wire."""
        return hashlib.sha1(sources()[script].encode()).hexdigest().encode()

    def load(self, script: str) -> None:
        """Let the server know a script before anyone calls it."""
        self.client.script_load(sources()[script])

    def outputs(self, batch_id: str) -> dict[int, dict[str, Any]]:
        """The completed rows of the latest round, by row."""
        return self._published(batch_id, OUTPUT)

    def codes(self, batch_id: str) -> dict[int, str]:
        """The rows that did not complete, and why each did not."""
        return {row: values["error"]["code"] for row, values in self._published(batch_id, ERRORS).items()}

    def _published(self, batch_id: str, name: str) -> dict[int, dict[str, Any]]:
        done = latest_done(self.store, batch_id)
        assert done is not None
        return {values["row"]: values for values in read_published(self.store, done, batch_id, name)}

    def log(self, worker: str) -> str:
        """What a worker has said."""
        return (self.folder / f"worker-{worker}.log").read_text()

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """What all processes logged under a name; `timestamp` says when."""
        for line in self.raw_logs().decode().splitlines():
            if f'"event": "{name}"' in line:
                yield json.loads(line)

    def raw_logs(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log"))[-6:])

    def said(self, event: str) -> int:
        """How often an event stands in the logs."""
        return self.raw_logs().count(event.encode())

    def hears(self, event: str, timeout_s: float = 90.0) -> None:
        """Wait until some process has said so."""
        self.until(lambda: self.said(event), timeout_s, f"{event}: {self.logs()}")


def _toml(values: Mapping[str, Any], table: str = "") -> str:
    """Settings as the file that a process reads."""
    plain = "".join(f"{json.dumps(k)} = {_value(v)}\n" for k, v in values.items() if not isinstance(v, Mapping))
    tables = [(f"{table}.{json.dumps(k)}".lstrip("."), v) for k, v in values.items() if isinstance(v, Mapping)]
    return plain + "".join(f"[{name}]\n{_toml(inner, name)}" for name, inner in tables)


def _value(value: Any) -> str:
    return json.dumps(value)
