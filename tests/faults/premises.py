"""The premises of a fault test: a store, a server, workers and commands as processes, and the checks at the end.

Ray is not used, unless a command starts it: each worker is a process on the stub engine, and the test itself sweeps. `finish`
waits until the batch is published, and checks that I1 to I6 of tests/faults/README.md hold. Faults of a store are in
`storage_faults.py`, of a network in `cut_network.py`, of a clock in `wrong_clock.py`.
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
from jobs.prices import Money
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import NAMES, Usage, total
from scripts.checks.patience import load
from tests.faults.attempt_checks import attempts_too_many
from tests.faults.lane_checks import lane_faults

LANE: Final = "stub"
ROWS: Final = 120
MOST_ATTEMPTS: Final = 3
LEASE_S: Final = 1.0
GRACE_S: Final = 5.0
"""Seconds that a worker may take to end after SIGTERM."""
QUIET_S: Final = 1.0
"""Seconds of slack on an idle machine."""
BUSY_S: Final = 15.0
"""Seconds of slack on a busy machine, at most."""
EVEN: Final[Mapping[str, Any]] = {"prompt": lambda _: "Tell a long story.", "seed": 40}
"""The fields of rows whose answers all have `max_tokens` words, up to 118. The answers to other rows have random lengths, from
one to 119 words.
"""

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
    """The seconds by which a promised time may be exceeded: QUIET_S, or more in proportion to the load, up to BUSY_S."""
    return min(QUIET_S * load(), BUSY_S)


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
        """Set fields of this class, and write the settings for processes that start from now on."""
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
        self.queue = RedisQueue.from_settings(self.settings, self.store, server.url)
        self._sweeper = None

    def move_to(self, server: Any) -> None:
        """Use another server from now on."""
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
        budget: Money | None = None,
        **fields: Any,
    ) -> str:
        """Submit a batch of chats, and return its id. `fields` are added to each row, `first` to the first row alone."""
        lines = [{"kind": "chat", "prompt": prompt(n), **fields} for n in range(rows)]
        return self.submit_lines([{**lines[0], **(first or {})}, *lines[1:]], deadline, budget)

    def submit_lines(
        self, rows: Sequence[Mapping[str, Any]], deadline: datetime | None = None, budget: Money | None = None
    ) -> str:
        """Submit a batch of these rows from this process, and return its id."""
        lines = [json.dumps(row).encode() for row in rows]
        options = IntakeOptions(name="night", deadline=deadline, budget=budget)
        made = accept(self.store, lines, options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch.batch_id

    def work(
        self, url: str = "", env: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start one more worker: w0, w1 and so on. It uses the server at `url`; `under` is put before its command."""
        name = f"w{len(self.workers)}"
        command = [*under, sys.executable, "-c", ENTRY, name, url or self.server.url]
        self.workers.append(self._logged(f"worker-{name}", command, {**self.env, **(env or {})}))
        return self.workers[-1]

    def replace_the_dead(self, n: int = 1) -> None:
        """Start workers until `n` are alive, as a fleet would."""
        for _ in range(n - sum(process.poll() is None for process in self.workers)):
            self.work()

    def run_code(self, code: str, *args: str) -> subprocess.Popen[bytes]:
        """Start a Python process with this code, whose output goes to a log of these premises."""
        return self._other([sys.executable, "-c", code, *args], self.env)

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a command that runs beside the test, and whose output goes to a log of these premises."""
        return self._other([NIGHTPRESS, *words], {**self.env, **env}, start_new_session=True)

    def _other(self, command: Sequence[str], env: Mapping[str, str], **how: Any) -> subprocess.Popen[bytes]:
        self._others.append(self._logged(f"process-{len(self._others):03}", command, env, **how))
        return self._others[-1]

    def _logged(self, name: str, command: Sequence[str], env: Mapping[str, str], **how: Any) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log, **how)

    def command(self, *args: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
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
        """Wait until `rows` rows have an outcome in storage."""
        self.until(lambda: self.outcomes(batch_id) >= rows, 150, f"{rows} rows: {self.logs()}")

    def at_work(self, batch_id: str) -> None:
        """Require that rows of a batch are left. A fault that comes after the last row would test nothing."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        assert self.outcomes(batch_id) < batch.rows, "all rows were done before the fault"

    def outlast(self, leases: float = 2.0) -> None:
        """Wait for `leases` times the length of a lease. Leases that nobody renewed have then run out."""
        since = time.monotonic()
        self.until(lambda: time.monotonic() - since > leases * self.settings.lease_s, 3600)

    def outcomes(self, batch_id: str) -> int:
        """The number of rows that have an outcome in storage."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        index = OutcomeIndex(self.store, batch)
        index.refresh()
        return batch.rows - index.missing

    def lines(self, batch_id: str, worker: str = "") -> list[Outcome]:
        """Every line of every segment of all workers, or of `worker`. A torn segment would raise an error."""
        paths = BatchPaths(batch_id)
        if not worker:
            return list(each_outcome(self.store, paths))
        names = [name for name in self.store.list(paths.segments) if SegmentName.parse(name).worker == worker]
        return [line for name in names for line in read_outcomes(self.store, paths.segment(name))]

    def completed(self, batch_id: str, worker: str) -> int:
        """The number of completed lines that a worker has written."""
        return sum(line.status == "completed" for line in self.lines(batch_id, worker))

    def segments(self, batch_id: str) -> int:
        return len(self.store.list(BatchPaths(batch_id).segments))

    def sweep(self) -> None:
        """Sweep once in this process."""
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
        """Sweep until the batch is published, with `workers` workers kept alive; then check that I1 to I6 hold.

        Returns the number of rows of each status.
        """

        def published() -> bool:
            self.replace_the_dead(workers) if workers else None
            self.sweep()
            return not is_open(self.store, batch_id)

        self.until(published, timeout_s, f"the batch to be published: {self.logs()}")
        return self.check(batch_id)

    def check(self, batch_id: str) -> dict[str, int]:
        """Check that I1 to I6 hold for a published batch. Returns the number of rows of each status."""
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
        """The lines of the segments that the publisher counted. Segments that were written after the publication are left out."""
        paths = BatchPaths(batch_id)
        names = self.store.list(paths.segments)
        with contextlib.suppress(
            OSError
        ):  # an object store has no file times: here the publisher must have counted all segments
            names.sort(key=lambda name: (Path(self.store.url) / paths.segment(name)).stat().st_mtime)
        for last in range(len(names), -1, -1):
            counted = sorted(names[:last])
            if hashlib.sha256("\n".join(counted).encode()).hexdigest() == done.segments_sha256:
                return [line for name in counted for line in read_outcomes(self.store, paths.segment(name))]
        raise AssertionError("the publisher counted segments that do not exist")

    def live(self, batch_id: str) -> int:
        """The number of jobs of a batch on the queue."""
        schedule = self.lane().batches.get(batch_id)
        return 0 if schedule is None else schedule.live

    def lane_faults(self) -> list[str]:
        """A sentence for each fault of the lane's keys."""
        return lane_faults(self.client, LANE, store_id=self.store_id)

    @property
    def store_id(self) -> str:
        """The id of the store. The keys of the store in Redis hold this id."""
        return str(json.loads(self.store.read("store.json"))["id"])

    def key(self, name: str) -> str:
        """A key of the lane, as Redis knows it."""
        return f"np:2:{{{self.store_id}/{LANE}}}:{name}"

    def lane(self) -> LaneSnapshot:
        return self.queue.snapshot(LANE)

    def leased(self, rows: int = 1) -> None:
        """Wait until `rows` rows are leased, and a worker reports rows in hand. Until a worker reports the rows, the reply to
        its claim may still get lost.
        """

        def known() -> bool:
            lane = self.lane()
            return lane.leased >= rows and any(one.running for one in lane.workers)

        self.until(known, 150, f"{rows} rows in hand: {self.logs()}")

    def idle(self) -> LaneSnapshot | None:
        """The lane if no job is on it, else None."""
        lane = self.lane()
        return None if lane.ready or lane.delayed or lane.leased else lane

    def sha(self, script: str) -> bytes:
        """The hash by which a script of the queue is called."""
        return hashlib.sha1(sources()[script].encode()).hexdigest().encode()

    def load(self, script: str) -> None:
        """Load a script into the server."""
        self.client.script_load(sources()[script])

    def outputs(self, batch_id: str) -> dict[int, dict[str, Any]]:
        """The completed rows of the latest round, by row."""
        return self._published(batch_id, OUTPUT)

    def codes(self, batch_id: str) -> dict[int, str]:
        """The error code of each row that did not complete."""
        return {row: values["error"]["code"] for row, values in self._published(batch_id, ERRORS).items()}

    def _published(self, batch_id: str, name: str) -> dict[int, dict[str, Any]]:
        done = latest_done(self.store, batch_id)
        assert done is not None
        return {values["row"]: values for values in read_published(self.store, done, batch_id, name)}

    def log(self, worker: str) -> str:
        """The log of a worker."""
        return (self.folder / f"worker-{worker}.log").read_text()

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """The events of this name that any process logged; `timestamp` is their time."""
        for line in self.raw_logs().decode().splitlines():
            if f'"event": "{name}"' in line:
                yield json.loads(line)

    def raw_logs(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log"))[-6:])

    def logged(self, text: str) -> int:
        """How often a text occurs in all logs together."""
        return self.raw_logs().count(text.encode())

    def wait_for_log(self, text: str, timeout_s: float = 90.0) -> None:
        """Wait until a process has logged this text."""
        self.until(lambda: self.logged(text), timeout_s, f"{text}: {self.logs()}")


def _toml(values: Mapping[str, Any], table: str = "") -> str:
    """Settings as the text of nightpress.toml."""
    plain = "".join(f"{json.dumps(k)} = {_value(v)}\n" for k, v in values.items() if not isinstance(v, Mapping))
    tables = [(f"{table}.{json.dumps(k)}".lstrip("."), v) for k, v in values.items() if isinstance(v, Mapping)]
    return plain + "".join(f"[{name}]\n{_toml(inner, name)}" for name, inner in tables)


def _value(value: Any) -> str:
    return json.dumps(value)
