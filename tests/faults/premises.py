"""The premises of a fault test: a store of any kind, a server, worker processes, and what must hold at the end.

Knows how to stop, replace and kill processes; the ways to spoil a store are in `storage_faults.py`.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from jobs.batch import BatchPaths
from jobs.intake import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.published import OUTPUT, read_published, read_usage, verify
from jobs.redis_queue import RedisQueue
from jobs.rounds import is_open, latest_done, load_batch
from jobs.segment import Outcome
from jobs.segment_files import each_outcome
from jobs.settings import Settings
from jobs.storage import Store
from jobs.sweep import Sweeper
from jobs.usage import NAMES, Usage, total

LANE: Final = "stub"
ROWS: Final = 100
MOST_ATTEMPTS: Final = 3
ENTRY: Final = """
import sys
from jobs.settings import Settings
from workers.worker import Worker, WorkerPlan
Worker(WorkerPlan(sys.argv[1], "stub", sys.argv[2], Settings())).run()
"""
NIGHTPRESS: Final = str(Path(sys.executable).with_name("nightpress"))


@dataclass
class Premises:
    """The store, the server and the workers of one test. `stub` are options of the engine, `more` any settings."""

    folder: Path
    server: Any
    until: Callable[..., Any]
    store_url: str = ""
    store_options: Mapping[str, str] = field(default_factory=dict)
    stub: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _sweeper: Sweeper | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.store_url = self.store_url or str(self.folder / "store")
        self.given = {
            "store_url": self.store_url,
            "store_options": dict(self.store_options),
            "redis_url": self.server.url,
            "model": LANE,
            "lease_s": 1.0,
            "flush_s": 0.1,
            "scan_s": 0.2,
            "max_attempts": MOST_ATTEMPTS,
            "backoff_s": 0.05,
            "breaker_rows": 0,
            "spool_dir": str(self.folder / "spool"),
            "cache_dir": str(self.folder / "cache"),
            "models": {LANE: {"engine": "stub", "options": {"step_s": 0.004, "slots": 8, **self.stub}}},
            **self.more,
        }
        self.settings = Settings(**self.given)
        (self.folder / "nightpress.toml").write_text(_toml(self.given))
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")}
        self.store = Store.open(self.store_url, self.store_options)
        self.client = redis.Redis.from_url(self.server.url)
        self.queue = RedisQueue.from_settings(self.settings, self.server.url)

    def __enter__(self) -> "Premises":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.client.close()
        self.queue.close()

    def submit(self, rows: int = ROWS, *, prompt: Callable[[int], str] = "Say {}.".format, **fields: Any) -> str:
        """A batch of chats, which this process makes."""
        return self.submit_lines([{"kind": "chat", "prompt": prompt(n), **fields} for n in range(rows)])

    def submit_lines(self, rows: list[dict[str, Any]]) -> str:
        """A batch of these rows."""
        lines = [json.dumps(row).encode() for row in rows]
        options = IntakeOptions(name="night")
        made = accept(self.store, lines, options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch.batch_id

    def work(self) -> subprocess.Popen[bytes]:
        """One more worker, a process of its own."""
        process = self.run_code(ENTRY, f"w{len(self.workers)}", self.server.url)
        self.workers.append(process)
        return process

    def replace_the_dead(self, n: int = 1) -> None:
        """Have `n` workers alive, as a fleet would."""
        for _ in range(n - sum(process.poll() is None for process in self.workers)):
            self.work()

    def run_code(self, code: str, *args: str) -> subprocess.Popen[bytes]:
        """A process of ours on some code, whose output is a log of these premises."""
        number = len(list(self.folder.glob("*.log")))
        with (self.folder / f"process-{number:03}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", code, *args], cwd=self.folder, env=self.env, stdout=log, stderr=log
            )

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
        self.until(lambda: self.outcomes(batch_id) >= rows, 60, f"{rows} rows: {self.logs()}")

    def outcomes(self, batch_id: str) -> int:
        """Rows that have an outcome in storage."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        index = OutcomeIndex(self.store, batch)
        index.refresh()
        return batch.rows - index.missing

    def lines(self, batch_id: str) -> list[Outcome]:
        """Every line of every segment. A torn segment would raise."""
        return list(each_outcome(self.store, BatchPaths(batch_id)))

    def sweep(self) -> None:
        """One look of this process's sweeper."""
        if self._sweeper is None:
            batches = OpenBatches(self.store, scan_s=0.0)
            self._sweeper = Sweeper(self.store, self.queue, batches, self.settings.prices)
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
        lines = self.lines(batch_id)
        attempts = Counter((line.row, line.round) for line in lines if line.status == "failed")
        assert max(attempts.values(), default=0) <= MOST_ATTEMPTS, "I5"
        done = latest_done(self.store, batch_id)
        assert done is not None
        usage = read_usage(self.store, done, batch_id)
        spent = total(line.usage + line.wasted for line in lines)
        accounted = Usage.from_dict(usage) + Usage.from_dict(usage["wasted"])
        costs = [name for name in NAMES if name != "charge"]
        late = sum(line.round > done.round for line in lines)
        assert late == 0
        assert [getattr(accounted, name) for name in costs] == [getattr(spent, name) for name in costs], "I6"
        assert b"Traceback" not in self.raw_logs(), self.logs()
        return {status: count for status, count in done.counts.items() if count}

    def live(self, batch_id: str) -> int:
        """Jobs of a batch on the queue."""
        schedule = self.queue.snapshot(LANE).batches.get(batch_id)
        return 0 if schedule is None else schedule.live

    def outputs(self, batch_id: str) -> dict[int, dict[str, Any]]:
        """The completed rows of the latest round, by row."""
        done = latest_done(self.store, batch_id)
        assert done is not None
        return {row["row"]: row for row in read_published(self.store, done, batch_id, OUTPUT)}

    def raw_logs(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log"))[-6:])

    def said(self, event: str) -> int:
        """How often an event stands in the logs."""
        return self.raw_logs().count(event.encode())

    def hears(self, event: str, timeout_s: float = 30.0) -> None:
        """Wait until some process has said so."""
        self.until(lambda: self.said(event), timeout_s, f"{event}: {self.logs()}")


def _toml(values: Mapping[str, Any], table: str = "") -> str:
    """Settings as the file that a process reads."""
    plain = "".join(f"{json.dumps(k)} = {_value(v)}\n" for k, v in values.items() if not isinstance(v, Mapping))
    tables = [(f"{table}.{json.dumps(k)}".lstrip("."), v) for k, v in values.items() if isinstance(v, Mapping)]
    return plain + "".join(f"[{name}]\n{_toml(inner, name)}" for name, inner in tables)


def _value(value: Any) -> str:
    return json.dumps(value)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let a process stand still."""
    process.send_signal(signal.SIGSTOP)


def go_on(process: subprocess.Popen[bytes]) -> None:
    """Let it go on."""
    process.send_signal(signal.SIGCONT)


EACH_STEP: Final = """
import os, signal, sys
from jobs.cli import main

steps, dies_at = 0, None

class Stepped:
    def __init__(self, name):
        self.act = getattr(os, name)
    def __call__(self, *args, **kwargs):
        global steps
        if steps == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return self.act(*args, **kwargs)

for name in ("mkdir", "fsync", "link", "unlink"):
    setattr(os, name, Stepped(name))

def run(words, step=None):
    global steps, dies_at
    steps, dies_at = 0, step
    status = main([word.format(n=n) for word in words])
    sys.stdout.flush()
    return status

n, words = 0, sys.argv[1:]
assert run(words) == 0
for n in range(1, steps + 1):
    child = os.fork()
    if child == 0:
        os._exit(run(words, n - 1))
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):  # the first run also made folders that are there now
        assert status == 0 and n > 5, (n, status)
        break
    print("killed", n, file=sys.stderr, flush=True)
    assert run(words) == 0
"""
"""The command `nightpress WORDS`, run to its end; then killed before each of its changes of a disk in turn, and run again.

A change is a folder made, a file made durable, one that takes its name, or one removed. `{n}` in a word is the number of the try.
"""
