"""Tests every crash point of a small night: a fault at each call of Redis and of storage in turn.

The night has two workers, a sweeper that compacts, and four rows, of which one is released and one fails once. Another night
has six rows: a sample of them is drawn twice, and the others run once an operator agrees to the quote (rule 49). A dry run
counts the calls. Then the night is run again for each call and each fate of the call: the process dies before it, the call takes
effect and its reply is lost, the service is away, or the call is made twice. In every night, each row gets one outcome, nothing
is charged twice, and all usage is accounted for.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from jobs.batches.batch import Batch, BatchPaths, QuoteTerms
from jobs.batches.budgets.reservation import reservation
from jobs.batches.input import read_rows
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import OUTPUT, read_published, read_usage, verify
from jobs.batches.rounds import latest_done, read_round, require_batch, resume
from jobs.batches.segments.files import each_outcome
from jobs.errors import RequestError
from jobs.usage import NAMES, Usage, total
from tests.faults.attempt_checks import attempts_too_many
from tests.faults.lane_checks import lane_faults
from tests.faults.model.moved_time import ImitatedServer
from tests.faults.model.protocol_model import (
    LANE,
    MAX_ATTEMPTS,
    PRICES,
    Process,
    SweeperProcess,
    Worker,
    World,
    draw_few_rows,
    submit,
)
from tests.faults.model.stepping import Fate

pytestmark = pytest.mark.faults
ROWS = 4
QUOTED_ROWS = 6
"""The first draw has two of them, the second one more."""
TURNS = 12
CALLS = {
    *("claim", "settle", "release", "beat", "feed", "drop", "snapshot"),
    *("create", "open", "link", "read", "list", "delete"),
}


class Night:
    """One night, in which call number `nth` has the given fate. `calls` lists the calls so far.

    If the night is `quoted`, a sample of its rows runs first, and an operator agrees to the quote.
    """

    def __init__(
        self, world: World, fate: Fate, nth: int | None, budget: int | None = None, *, quoted: bool = False
    ) -> None:
        self.world = world
        self.fate = fate
        self.nth = nth
        self.calls: list[str] = []
        self.rows = QUOTED_ROWS if quoted else ROWS
        self.batch_id = submit(world, self.rows, QuoteTerms() if quoted else None, budget)
        self.workers = [Worker(world, "w0"), Worker(world, "w1")]
        self.sweeper = SweeperProcess(world, "s")
        self.operator = Process(world, "o")

    def run(self) -> None:
        for turn in range(TURNS):
            for worker in self.workers:
                self.drive(worker, partial(worker.claim, 1 if turn else 3))
                troubled = turn == 0 and worker is self.workers[1]
                if troubled and worker.held:
                    self.drive(worker, partial(worker.release, list(worker.held)[:1]))
                while worker.held:
                    fails = troubled and len(worker.held) == 1
                    worker.finish(0, "retried" if fails else "completed")
                self.drive(worker, partial(worker.flush, 100))
                self.drive(worker, worker.beat)
            self.drive(self.sweeper, self.sweeper.sweeper.sweep)
            if read_round(self.world.store, self.batch).awaits_answer:
                self.drive(self.operator, self.agree)
            if latest_done(self.world.store, self.batch_id) and not self.live():
                return
            self.world.let_leases_run_out()

    def drive(self, process: Process, act: Callable[[], object]) -> None:
        process.start(act)
        while process.busy:
            self.calls.append(f"{process.name}: {process.at}")
            if len(self.calls) - 1 != self.nth:
                process.suffer("made")
            elif self.fate == "dies":
                process.die()
            else:
                process.suffer(self.fate)

    @property
    def batch(self) -> Batch:
        return require_batch(self.world.store, self.batch_id)

    def agree(self) -> None:
        """Resume the batch, as the command does."""
        with suppress(RequestError):  # it is not known whether the call before was answered
            resume(self.operator.store, self.batch, clock=self.world.now)

    def live(self) -> int:
        """The number of the batch's jobs on the queue."""
        schedule = self.world.queue.snapshot(LANE).batches.get(self.batch_id)
        return 0 if schedule is None else schedule.live

    def check(self) -> None:
        store = self.world.store
        done = latest_done(store, self.batch_id)
        assert done is not None, "it was never published"
        assert verify(store, self.batch_id) == []
        assert done.counts["completed"] == self.rows
        rows = list(read_published(store, done, self.batch_id, OUTPUT))
        assert [row["row"] for row in rows] == list(range(self.rows))
        assert self.live() == 0, "a job outlives its batch"
        assert lane_faults(self.world.server.client, LANE) == []
        lines = list(each_outcome(store, BatchPaths(self.batch_id)))
        assert attempts_too_many(lines, MAX_ATTEMPTS) == []
        usage = read_usage(store, done, self.batch_id)
        spent = total(line.usage + line.wasted for line in lines)
        accounted = Usage.from_dict(usage) + Usage.from_dict(usage["wasted"])
        costs = [name for name in NAMES if name != "charge"]
        assert [getattr(accounted, name) for name in costs] == [getattr(spent, name) for name in costs]


@pytest.fixture
def night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Night]]:
    """Makes a night in a new world. All nights share one imitated server, which is emptied between them."""
    server = ImitatedServer(monkeypatch)
    draw_few_rows(monkeypatch)
    made: list[Night] = []

    def make(fate: Fate, nth: int | None, budget: int | None = None, *, quoted: bool = False) -> Night:
        server.client.flushall()
        made.append(Night(World(str(tmp_path / f"store-{len(made)}"), server), fate, nth, budget, quoted=quoted))
        return made[-1]

    yield make
    server.client.close()


@pytest.mark.parametrize(
    "fate",
    [
        pytest.param("fails after", id="its reply is lost"),
        pytest.param("fails", id="it is away"),
        pytest.param("resent", id="it is made twice"),
    ],
)
@pytest.mark.parametrize("quoted", [pytest.param(False, id="plain"), pytest.param(True, id="quoted")])
def test_each_row_gets_one_outcome_whatever_happens_to_one_call(
    night: Callable[..., Night], fate: Fate, quoted: bool
) -> None:
    _check_each_call(night, fate, quoted=quoted)


@pytest.mark.parametrize(
    "quoted", [pytest.param(False, id="plain", marks=pytest.mark.smoke), pytest.param(True, id="quoted")]
)
def test_each_row_gets_one_outcome_if_the_process_dies_before_a_call(night: Callable[..., Night], quoted: bool) -> None:
    _check_each_call(night, "dies", quoted=quoted)


def _check_each_call(night: Callable[..., Night], fate: Fate, *, quoted: bool) -> None:
    dry = night("made", None, quoted=quoted)
    dry.run()
    dry.check()
    assert not any("budget-" in call for call in dry.calls)
    assert {call.split()[1] for call in dry.calls} >= CALLS
    assert any("compacted-" in call for call in dry.calls)
    quotes = [name for name in ("drawn-2", "quoted-1", "agreed-1") if any(name in call for call in dry.calls)]
    assert len(quotes) == (3 if quoted else 0)
    for nth, call in enumerate(dry.calls):
        tried = night(fate, nth, quoted=quoted)
        try:
            tried.run()
            tried.check()
        except BaseException as error:
            error.add_note(f"call {nth} of {len(dry.calls)}, {call}: {fate}")
            raise


@pytest.mark.parametrize("night", ["plain"], indirect=True)
@pytest.mark.parametrize(
    "fate",
    [
        pytest.param("dies", id="the process dies before it"),
        pytest.param("fails after", id="its reply is lost"),
        pytest.param("fails", id="it is away"),
    ],
)
def test_no_call_lets_rows_cost_more_than_their_budget(night: Callable[..., Night], fate: Fate) -> None:
    """The budget pays for all rows at what is reserved for them, and for nothing more."""
    budget = sum(_reserved(night("made", None, 10**9)))
    dry = night("made", None, budget)
    dry.run()
    dry.check()
    assert sum("create" in call and "budget-" in call for call in dry.calls) >= ROWS, "each row has a grant of its own"
    for nth, call in enumerate(dry.calls):
        tried = night(fate, nth, budget)
        try:
            tried.run()
            tried.check()
            done = latest_done(tried.world.store, tried.batch_id)
            assert done is not None
            usage = read_usage(tried.world.store, done, tried.batch_id)
            assert usage["charge"] <= budget
            index = OutcomeIndex(tried.world.store, require_batch(tried.world.store, tried.batch_id))
            index.refresh()
            assert usage["charge"] <= index.limit().used <= budget
        except BaseException as error:
            error.add_note(f"call {nth} of {len(dry.calls)}, {call}: {fate}")
            raise


def _reserved(night: Night) -> list[int]:
    """What is reserved for each row of a night."""
    rows = read_rows(night.world.store, night.batch_id, LANE)
    return [reservation(row, PRICES) for row in rows]
