"""Shows how jobs/lanes/feed.py and jobs/publishing/sweeper.py work with a budget: rows are fed after they were granted."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import OUTPUT, read_published, read_usage
from jobs.batches.rounds import add_to_budget, latest_done, read_round
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.errors import RequestError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import Job
from jobs.lanes.protocol import Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.prices import Money, Prices, TokenPrices
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import Usage
from tests.support.clocks import EVENING

LANE: Final = "stub"
PRICES: Final = Prices(currency="EUR", device_hour={}, models={"stub": TokenPrices(completion=1_000_000)})
ROW: Final = 256 + 2_048
"""What is reserved for a row by these prices, in billionths: one for each token that a chat and its thoughts may have."""


class Fleet:
    """A store and a queue, with one feeder, one sweeper, and a worker without an engine."""

    def __init__(self, folder: Path, client: redis.Redis) -> None:
        self.settings = Settings(model="stub", prices=PRICES, inline_bytes=10_000)
        self.store = open_store(str(folder))
        self.client = client
        self.queue = RedisQueue(client, max_attempts=3)
        self.now = 0.0
        self.segments = 0
        self.claims = 0
        self.start()

    def start(self) -> None:
        """Start the feeder and the sweeper, with nothing in memory."""
        self.batches = OpenBatches(self.store, batch_scan_s=0.0)
        self.feeder = Feeder(self.store, self.queue, self.batches, self.settings, lambda: self.now, lambda: EVENING)
        self.sweeper = Sweeper(
            self.store, self.queue, OpenBatches(self.store, batch_scan_s=0.0), PRICES, clock=lambda: EVENING
        )

    def accept(self, rows: int, budget: int, first: bytes = b"") -> Batch:
        """Accept a batch of chats. `first` are further fields of the first row."""
        fields = [first, *[b""] * (rows - 1)]
        lines = b"".join(b'{"kind":"chat","prompt":"row %d"%s}\n' % one for one in enumerate(fields))
        options = IntakeOptions(name="b", budget=Money(amount=budget, currency="EUR"))
        made = accept(self.store, io.BytesIO(lines), options, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch

    def claim(self) -> Sequence[Job]:
        """Feed the lane, after the time between two looks has passed, and claim all that is there."""
        self.now += 10
        self.batches.scan()
        self.feeder.top_up(LANE)
        self.claims += 1
        return self.queue.claim(LANE, f"c-{self.claims}", 100, 60_000, WorkerRecord("w", 1, "n", LANE, 0)).jobs

    def finish(self, jobs: Sequence[Job], charge: int, **fields: Any) -> None:
        self.segments += 1
        lines = [
            replace(
                Outcome(job.key.row, job.lease.round, job.lease.fence, job.lease.claim_id, "completed", True, "chat"),
                **{"output": {"text": "x"}, "model": "stub", "usage": Usage(charge=charge), **fields},
            )
            for job in jobs
        ]
        write(self.store, BatchPaths(jobs[0].key.batch_id), lines, "w", "i", self.segments)
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])

    def work(self, charge: int) -> list[list[int]]:
        """Work until nothing more is to be claimed, and sweep. Returns the rows of each claim."""
        found: list[list[int]] = []
        while jobs := self.claim():
            found.append([job.key.row for job in jobs])
            self.finish(jobs, charge)
            self.sweeper.sweep()
        self.sweeper.sweep()
        return found


@pytest.fixture
def fleet(tmp_path: Path, fake_client: redis.Redis) -> Fleet:
    return Fleet(tmp_path, fake_client)


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def rows(jobs: Sequence[Job]) -> list[int]:
    return [job.key.row for job in jobs]


def test_rows_are_fed_as_others_cost_less_than_was_reserved(fleet: Fleet) -> None:
    batch = fleet.accept(rows=8, budget=3 * ROW)
    assert fleet.work(charge=ROW // 4) == [[0, 1, 2], [3, 4], [5], [6], [7]]
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert done.counts["completed"] == 8
    assert read_usage(fleet.store, done, batch.batch_id)["charge"] == 8 * (ROW // 4)


def test_at_its_end_the_batch_is_published_and_goes_on_with_more_money(fleet: Fleet) -> None:
    batch = fleet.accept(rows=8, budget=3 * ROW)
    assert fleet.work(charge=ROW) == [[0, 1, 2]]
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert (done.round, done.counts["completed"], done.counts["expired"]) == (1, 3, 5)
    assert done.codes == {}
    current = read_round(fleet.store, batch)
    assert current.published == done
    assert fleet.work(charge=ROW) == []
    add_to_budget(fleet.store, batch, euros(2 * ROW + 1), lambda: EVENING)
    assert fleet.work(charge=ROW) == [[3, 4]]
    add_to_budget(fleet.store, batch, euros(10 * ROW), lambda: EVENING)
    assert fleet.work(charge=ROW) == [[5, 6, 7]]
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert (done.round, done.counts["completed"]) == (3, 8)
    assert read_usage(fleet.store, done, batch.batch_id)["charge"] == 8 * ROW


def test_a_row_dearer_than_the_whole_budget_is_not_fed_and_holds_up_no_other(fleet: Fleet) -> None:
    batch = fleet.accept(rows=3, budget=2 * ROW, first=b',"max_tokens":5000')
    assert fleet.work(charge=ROW // 2) == [[1, 2]]
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert (done.counts["completed"], done.counts["expired"]) == (2, 1)
    add_to_budget(fleet.store, batch, euros(5000), lambda: EVENING)
    assert fleet.work(charge=ROW) == [[0]]


def test_rows_at_work_keep_the_batch_open(fleet: Fleet) -> None:
    batch = fleet.accept(rows=8, budget=2 * ROW)
    jobs = fleet.claim()
    assert rows(jobs) == [0, 1]
    fleet.finish(jobs[:1], ROW)
    fleet.sweeper.sweep()
    assert latest_done(fleet.store, batch.batch_id) is None
    assert not fleet.claim()
    fleet.finish(jobs[1:], ROW)
    fleet.sweeper.sweep()
    assert latest_done(fleet.store, batch.batch_id) is not None


def test_a_queue_that_forgot_everything_gets_the_granted_rows_and_no_others(fleet: Fleet) -> None:
    fleet.accept(rows=8, budget=3 * ROW)
    fleet.finish(fleet.claim()[:1], ROW)
    fleet.client.flushall()
    fleet.start()
    assert rows(fleet.claim()) == [1, 2]


def test_granted_rows_that_the_queue_lost_are_fed_again(fleet: Fleet) -> None:
    batch = fleet.accept(rows=8, budget=3 * ROW)
    jobs = fleet.claim()
    fleet.queue.settle(LANE, [Settlement(jobs[1].lease)])  # its outcome was never written
    fleet.finish([jobs[0], jobs[2]], ROW)
    fleet.sweeper.sweep()
    assert latest_done(fleet.store, batch.batch_id) is None
    assert rows(fleet.claim()) == [1]


def test_failed_rows_cost_nothing_and_the_rest_goes_on(fleet: Fleet) -> None:
    batch = fleet.accept(rows=4, budget=100 * ROW)
    jobs = fleet.claim()
    assert rows(jobs) == [0, 1, 2, 3]
    fleet.finish(jobs[:2], 0, status="failed", output=None, error={"code": "empty_output", "message": ""})
    fleet.finish(jobs[2:], ROW)
    fleet.sweeper.sweep()
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert (done.counts["completed"], done.counts["failed"], done.counts["expired"]) == (2, 2, 0)


def test_rows_that_cost_nothing_need_no_money(fleet: Fleet) -> None:
    free = Prices(currency="EUR", device_hour={}, models={})
    fleet.settings = fleet.settings.model_copy(update={"prices": free})
    fleet.start()
    batch = fleet.accept(rows=20, budget=1)
    assert sum(map(len, fleet.work(charge=0))) == 20
    done = latest_done(fleet.store, batch.batch_id)
    assert done is not None
    assert len(list(read_published(fleet.store, done, batch.batch_id, OUTPUT))) == 20


def test_a_batch_whose_budget_is_in_another_currency_than_the_prices_of_workers_waits(fleet: Fleet) -> None:
    batch = fleet.accept(rows=2, budget=10 * ROW)
    dollars = Prices(currency="USD", device_hour={}, models={})
    fleet.settings = fleet.settings.model_copy(update={"prices": dollars})
    fleet.start()
    fleet.sweeper.prices = dollars
    assert fleet.work(charge=0) == []
    assert latest_done(fleet.store, batch.batch_id) is None


def test_a_budget_in_another_currency_than_the_prices_is_refused(fleet: Fleet) -> None:
    with pytest.raises(RequestError, match=r"--budget 5 USD: the prices are in EUR: give the budget in EUR"):
        accept(
            fleet.store,
            io.BytesIO(b'{"kind":"chat","prompt":"x"}\n'),
            IntakeOptions(budget=Money(amount=5 * 10**9, currency="USD")),
            kinds=load_kinds(),
            settings=fleet.settings,
            run_key="k",
        )
