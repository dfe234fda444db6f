"""Shows workers/worker/runner.py with suspects: a few rows kill their worker, among many rows that do not."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jobs.generation import Completion
from tests.support.engines import Scripted, row_of
from tests.support.worker_night import WorkerNight


class Death(BaseException):
    """Raised in place of the death of a worker."""


class Deadly(Scripted):
    """An engine that dies of some rows."""

    def __init__(self, guilty: Callable[[int], bool]) -> None:
        super().__init__(slots=128)
        self._guilty = guilty

    def step(self) -> Sequence[Completion]:
        if any(self._guilty(row_of(request)) for request in self.waiting.values()):
            raise Death
        return super().step()


class Replaced:
    """A worker that is replaced whenever it dies. Its leases run out at once."""

    def __init__(self, night: WorkerNight, guilty: Callable[[int], bool]) -> None:
        self.deaths = 0
        self._night = night
        self._guilty = guilty
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.is_set():
            self._runner = self._night.worker(Deadly(self._guilty))
            try:
                self._runner.run()
            except Death:
                self.deaths += 1
                self._night.expire_leases()

    def end(self) -> None:
        self._over.set()
        while self._thread.is_alive():
            self._runner.stop(0.0)
            self._thread.join(0.1)


def test_one_row_of_256_that_kills_its_worker_fails_alone(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(256)
    worker = Replaced(night, lambda row: row == 77)
    output, errors = night.outputs(until)
    worker.end()
    assert [row["row"] for row in output] == [n for n in range(256) if n != 77]
    assert [(row["row"], row["error"]["code"]) for row in errors] == [(77, "crashed_worker")]
    assert worker.deaths <= 10
    crashes = [line for line in night.outcomes() if line.status == "crashed" and line.row == 77]
    assert (len(crashes), sum(line.solo or False for line in crashes)) == (worker.deaths, 2)


def test_when_every_row_kills_its_worker_the_lane_pauses(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    night.accept(256)
    worker = Replaced(night, lambda _: True)
    until(lambda: "lane.paused" in capsys.readouterr().out, 20, "the event")
    worker.end()
    snapshot = night.snapshot()
    assert (snapshot.paused, worker.deaths) == (True, 5)
    assert "workers died 5 times in a row" in snapshot.reason
    assert [line for line in night.outcomes() if line.final] == []


def test_beside_a_suspect_its_worker_claims_nothing(night: WorkerNight) -> None:
    """If the worker claimed other rows, a crash some steps later would make suspects of them too."""
    night.accept(5)
    night.claim(1)
    night.expire_leases()
    claimer = night.worker(Scripted())._claimer
    claimer._claim_if_room()
    (suspect,) = (turn.attempt.job for turn in claimer.ready())
    assert (suspect.suspect, night.snapshot().ready) == (True, 4)
    claimer._claim_if_room()
    assert list(claimer.ready()) == []
    claimer._leases.remove([suspect.lease])
    claimer._claim_if_room()
    assert len(list(claimer.ready())) == 4
