"""Breaks a fleet on Ray in any order, again and again: its supervisor, its workers, a command that stands by, the head of its
cluster, its Redis. Whatever happens, each row has one outcome, and I1 to I6 of tests/faults/README.md hold.

`FAULTS_SECONDS` says how long each seed goes on. At a minute, only the first rows of a night are broken:

    FAULTS_SECONDS=1800 python -m pytest tests/faults/processes/test_fleet_chaos.py
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random
from typing import Final

import psutil
import pytest

from jobs.batches.rounds import is_open
from tests.faults.premises import Premises
from tests.support.ray_clusters import ray_cluster

SECONDS: Final = float(os.environ.get("FAULTS_SECONDS", "45"))
pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(SECONDS + 900)]
ROWS: Final = 300
MOST_ROWS: Final = 40
"""At most this many rows are done between two faults."""


class Broken:
    """A night on a fleet that is broken. `count` counts the faults of each kind."""

    def __init__(self, night: Premises, seed: int) -> None:
        self.night = night
        self.random = Random(seed)
        self.count = Counter[str]()
        self.batches: list[str] = []
        self._cluster = ExitStack()
        self._raylet = 0
        self._processes: list[psutil.Process] = []
        self.begin()

    def begin(self) -> None:
        """Start a cluster, and a detached fleet on it."""
        self._cluster = ExitStack()
        made = self._cluster.enter_context(ray_cluster(self.night.env, num_cpus=3))
        (raylet,) = made.head_node.all_processes["raylet"]
        self._raylet = raylet.process.pid
        self._processes = [
            psutil.Process(one.process.pid) for several in made.head_node.all_processes.values() for one in several
        ]
        self.night.env["NIGHTPRESS_RAY_ADDRESS"] = made.address
        started = self.night.command("work", "--detach")
        assert started.returncode == 0, started.stderr

    def end(self) -> None:
        self._cluster.close()

    def submit(self) -> str:
        number = len(self.batches)
        self.batches.append(self.night.submit(ROWS, prompt=f"Say {{}} of {number}.".format))
        return self.batches[-1]

    def is_over(self, batch_id: str) -> bool:
        return not is_open(self.night.store, batch_id)

    def go_on(self, batch_id: str) -> None:
        """Wait until some more rows of the batch are done, or all."""
        wanted = min(ROWS, self.night.outcomes(batch_id) + self.random.randrange(MOST_ROWS))
        self.night.until(
            lambda: self.is_over(batch_id) or self.night.outcomes(batch_id) >= wanted,
            240,
            f"{wanted} rows after {dict(self.count)}: {self.night.logs()}",
        )

    # -- faults -----------------------------------------------------------------------------------------------------

    def supervisor(self) -> None:
        self._kill("ray::Kept")

    def worker(self) -> None:
        self._kill("ray::NodeWorker")

    def _kill(self, title: str) -> None:
        """Kill one of the actors of the cluster whose class is this one, if it has one now."""
        found = [one for one in psutil.Process(self._raylet).children() if _title(one).startswith(title)]
        if found:
            self.random.choice(found).kill()
            self.count[title] += 1

    def command(self) -> None:
        """A command stands by, and is killed once it has joined."""
        joined = self.night.logged("fleet.joined") + self.night.logged("fleet.started")
        process = self.night.start("work", "--workers", "2")
        self.night.until(
            lambda: self.night.logged("fleet.joined") + self.night.logged("fleet.started") > joined, 120, "it to join"
        )
        if self.random.random() < 0.5:
            self.supervisor()  # the command may take over before it is killed
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.count["command"] += 1

    def head(self) -> None:
        """All of the cluster dies at once. A fleet on another cluster goes on."""
        for process in self._processes:
            process.kill()
        self._cluster.close()
        self.begin()
        self.count["head"] += 1

    def redis(self) -> None:
        """Redis is killed, and comes back empty."""
        self.night.server.kill()
        self.night.server.start()
        self.count["redis"] += 1

    def wiped(self) -> None:
        self.night.client.flushall()
        self.count["wiped"] += 1


FAULTS: Final = ("supervisor", "supervisor", "worker", "worker", "worker", "command", "redis", "wiped", "head")


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def broken(make_night: Callable[..., Premises], request: pytest.FixtureRequest) -> Iterator[Broken]:
    night = make_night(stub={"step_s": 0.05}, more={"pause_after_deaths": 1_000_000})
    made = Broken(night, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("broken", [1, 2, 3], indirect=True, ids="seed {}".format)
def test_a_fleet_that_is_broken_in_any_order_loses_and_doubles_no_row(broken: Broken) -> None:
    ends_at = time.monotonic() + SECONDS
    while time.monotonic() < ends_at:
        batch_id = broken.submit()
        while time.monotonic() < ends_at and not broken.is_over(batch_id):
            broken.go_on(batch_id)
            getattr(broken, broken.random.choice(FAULTS))()
    for batch_id in broken.batches:
        broken.night.until(
            lambda: broken.is_over(batch_id),  # noqa: B023
            300,
            f"{batch_id} after {dict(broken.count)}: {broken.night.logs()}",
        )
    for batch_id in broken.batches:
        counts = broken.night.check(batch_id)
        assert sum(counts.values()) == ROWS
    print(f"{len(broken.batches)} batches, {dict(broken.count)}")  # noqa: T201 - seen with `pytest -s`
    assert broken.count.total() > 2
