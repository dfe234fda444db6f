"""Shows the suspects of workers/worker/runner.py: rows that a worker dies of, in a lane of many that it does not."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.generation import Completion
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.workers.worker.test_runner import (
    LANE,
    Night,
    Scripted,
    chats,
    dead_worker,
    lose,
    row_of,
    said,
    until_published,
)
from workers.worker.runner import Runner


class Death(BaseException):
    """What ends a worker without a word."""


class Deadly(Scripted):
    """An engine that dies of some rows."""

    def __init__(self, guilty: Callable[[int], bool]) -> None:
        super().__init__(said, slots=128)
        self._guilty = guilty

    def step(self) -> Sequence[Completion]:
        if any(self._guilty(row_of(request)) for request in self.waiting.values()):
            raise Death
        return super().step()


class Replaced:
    """A worker that is replaced whenever it dies; its leases run out at once."""

    def __init__(self, night: Night, client: redis.Redis, guilty: Callable[[int], bool]) -> None:
        self.deaths = 0
        self._night = night
        self._client = client
        self._guilty = guilty
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.is_set():
            self._runner = Runner(self._night.line(), Deadly(self._guilty), worker="w-1", node="n-1")
            try:
                self._runner.run()
            except Death:
                self.deaths += 1
                lose(self._client)

    def end(self) -> None:
        self._over.set()
        while self._thread.is_alive():
            self._runner.stop(0.0)
            self._thread.join(0.1)


@pytest.fixture
def night(tmp_path: Path, fake_client: redis.Redis) -> Iterator[Night]:
    settings = Settings(lease_s=60, flush_s=0.02, publish_check_s=0.01, max_attempts=3, model="stub")
    made = Night(open_store(str(tmp_path)), RedisQueue(fake_client, max_attempts=3), settings)
    yield made
    made.stop()


def test_one_row_of_256_that_kills_its_worker_fails_alone(
    night: Night, until: Callable[..., Any], fake_client: redis.Redis
) -> None:
    night.accept(chats(256))
    worker = Replaced(night, fake_client, lambda row: row == 77)
    output, errors = night.published(until_published(night, until))
    worker.end()
    assert [row["row"] for row in output] == [n for n in range(256) if n != 77]
    assert [(row["row"], row["error"]["code"]) for row in errors] == [(77, "crashed_worker")]
    assert worker.deaths <= 10
    crashes = [line for line in night.outcomes() if line.status == "crashed" and line.row == 77]
    assert (len(crashes), sum(line.solo or False for line in crashes)) == (worker.deaths, 2)


def test_when_every_row_kills_its_worker_the_lane_pauses(
    night: Night, until: Callable[..., Any], fake_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    night.accept(chats(256))
    worker = Replaced(night, fake_client, lambda _: True)
    until(lambda: "lane.paused" in capsys.readouterr().out, 20, "the event")
    worker.end()
    snapshot = night.queue.snapshot(LANE)
    assert (snapshot.paused, worker.deaths) == (True, 5)
    assert "workers died 5 times in a row" in snapshot.reason
    assert [line for line in night.outcomes() if line.final] == []


def test_beside_a_suspect_its_worker_claims_nothing(night: Night, fake_client: redis.Redis) -> None:
    """Else a crash that comes after some steps would point at others too."""
    night.accept(chats(5))
    dead_worker(night, 1, "dead-1-0")
    lose(fake_client)
    claimer = Runner(night.line(), Scripted(said), worker="w-1", node="n-1")._claimer
    claimer._claim()
    (suspect,) = (turn.attempt.job for turn in claimer.ready())
    assert (suspect.suspect, night.queue.snapshot(LANE).ready) == (True, 4)
    claimer._claim()
    assert list(claimer.ready()) == []
    claimer._leases.let_go([suspect.lease])
    claimer._claim()
    assert len(list(claimer.ready())) == 4
