"""Workers as processes on a real server, and one fault in each test: a kill, a pause, a server that dies or forgets.

Every test ends the same way: whatever is left is worked off, the batch is published, and I1 to I5 hold.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batch import BatchPaths
from jobs.intake import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.published import verify
from jobs.redis_queue import RedisQueue
from jobs.rounds import close, is_open, load_batch
from jobs.segment_files import each_outcome
from jobs.settings import Settings
from jobs.storage import Store
from jobs.sweep import Sweeper

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

LANE = "stub"
ROWS = 120
ENTRY = """
import sys
from jobs.settings import Settings
from workers.worker import Worker, WorkerPlan
Worker(WorkerPlan(sys.argv[1], "stub", sys.argv[2], Settings())).run()
"""
TOML = """
lease_s = 1.0
flush_s = 0.1
scan_s = 0.2
max_attempts = 3
backoff_s = 0.05
breaker_rows = 0
{more}
[models.stub]
engine = "stub"
options = {{ step_s = 0.004, slots = 8{options} }}
"""


@dataclass
class Site:
    """A store, a server, and the workers of one test."""

    folder: Path
    server: Any
    until: Callable[..., Any]
    options: str = ""
    more: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "nightpress.toml").write_text(TOML.format(options=self.options, more=self.more))
        self.store = Store.open(str(self.folder / ".nightpress/store"))
        self.settings = Settings(
            store_url=self.store.url, model="stub", breaker_rows=0, scan_s=0.05, lease_s=1.0, max_attempts=3
        )
        self.client = redis.Redis.from_url(self.server.url)
        self.queue = RedisQueue.from_url(self.server.url, max_attempts=3)

    def submit(self, rows: int = ROWS, **fields: Any) -> str:
        lines = [json.dumps({"kind": "chat", "prompt": f"Say {n}.", **fields}).encode() for n in range(rows)]
        options = IntakeOptions(name="night")
        made = accept(self.store, lines, options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch.batch_id

    def work(self) -> subprocess.Popen[bytes]:
        """One more worker, a process of its own."""
        log = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-c", ENTRY, f"w{len(self.workers)}", self.server.url],
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")},
                stdout=log,
                stderr=log,
            )
        self.workers.append(process)
        return process

    def outcomes(self, batch_id: str) -> int:
        """Rows that have an outcome in storage."""
        batch = load_batch(self.store, batch_id)
        assert batch is not None
        index = OutcomeIndex(self.store, batch)
        index.refresh()
        return batch.rows - index.missing

    def at_least(self, batch_id: str, rows: int) -> None:
        self.until(lambda: self.outcomes(batch_id) >= rows, 60, f"{rows} rows")

    def sweep(self) -> None:
        batches = OpenBatches(self.store, scan_s=0.0)
        Sweeper(self.store, self.queue, batches, self.settings.prices).sweep()

    def finish(self, batch_id: str) -> None:
        """Sweep until the batch is published, then see that I1 to I5 hold."""

        def published() -> bool:
            self.sweep()
            return not is_open(self.store, batch_id)

        self.until(published, 90, f"the batch to be published: {self.logs()}")
        assert verify(self.store, batch_id) == []  # I1, I2, I3
        snapshot = self.queue.snapshot(LANE)
        assert (snapshot.ready, snapshot.delayed, snapshot.leased) == (0, 0, 0)  # I4: no job outlives its batch
        attempts = Counter(
            outcome.row for outcome in each_outcome(self.store, BatchPaths(batch_id)) if outcome.status == "failed"
        )
        assert max(attempts.values(), default=0) <= 3  # I5

    def counts(self, batch_id: str) -> dict[str, int]:
        raw = self.store.read(BatchPaths(batch_id).done(1))
        found: dict[str, int] = json.loads(raw)["counts"]
        return {status: count for status, count in found.items() if count}

    def logs(self) -> str:
        return "".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.client.close()
        self.queue.close()


@pytest.fixture
def make_site(tmp_path: Path, redis_server: Any, until: Callable[..., Any]) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**given: Any) -> Site:
        folder = tmp_path / "site"
        folder.mkdir()
        made.append(Site(folder, redis_server, until, **given))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.mark.smoke
def test_a_worker_killed_in_mid_batch(site: Site) -> None:
    batch_id = site.submit()
    victim, _ = site.work(), site.work()
    site.at_least(batch_id, ROWS // 4)
    victim.kill()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_the_only_worker_killed_again_and_again(site: Site) -> None:
    batch_id = site.submit()
    for part in (1, 2, 3):
        victim = site.work()
        site.at_least(batch_id, part * ROWS // 5)
        victim.kill()
        victim.wait()
    site.work()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_a_worker_that_stood_still_past_its_lease_does_no_harm_when_it_goes_on(site: Site) -> None:
    batch_id = site.submit()
    sleeper = site.work()
    site.at_least(batch_id, ROWS // 5)
    sleeper.send_signal(signal.SIGSTOP)
    site.work()
    site.at_least(batch_id, ROWS // 2)
    sleeper.send_signal(signal.SIGCONT)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_the_server_killed_and_started_empty(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    site.server.kill()
    site.server.start()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_everything_wiped_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work(), site.work()
    site.at_least(batch_id, ROWS // 2)
    site.client.flushall()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_scripts_flushed_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 2)
    site.client.script_flush()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_the_server_comes_back_as_it_was_before(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 5)
    keys: Any = site.client.keys("*")
    saved = {key: site.client.dump(key) for key in keys}
    site.at_least(batch_id, ROWS // 2)
    with site.client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in saved.items():
            if value is not None:
                pipe.restore(key, 0, value)
        pipe.execute()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "key", ["batches", "jobs", "payload", "ready", "delayed", "leased", "tenants", "meta", "counts"]
)
def test_a_single_key_evicted(site: Site, key: str) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    site.client.delete(f"np:1:{{{LANE}}}:{key}")
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_cancelled_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    close(site.store, batch_id, "cancelled")
    site.finish(batch_id)
    counts = site.counts(batch_id)
    assert counts["cancelled"] > 0
    assert counts["completed"] >= ROWS // 4


def test_the_store_moved_away_for_a_while(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    home = Path(site.store.url)
    home.rename(home.with_name("away"))
    site.until(lambda: "store.unavailable" in site.logs(), 30, "the worker to notice")
    if home.exists():  # a writer may have made the folder anew: nothing of it is a batch
        home.rename(home.with_name("stray"))
    home.with_name("away").rename(home)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
