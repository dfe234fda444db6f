"""Shows that no order of events loses a row, publishes one twice, or leaves a batch that cannot be published.

It is a state machine over the real Lua, the real storage on disk and the real intake, feeder, sweeper and publisher. Every
process stops before each of its I/O calls, so anything may happen between any two of them: another process continues, time
passes, a lease runs out, Redis is wiped, rolled back or loses a key, a packet comes twice, a reply is lost, a process dies.
At the end one healthy worker finishes everything that is left, and every batch must be published correctly.

`FAULTS=long` searches for a long time; without it, the same few examples are tried each time.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import pytest
import structlog
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.accounts.summary import Tally
from jobs.accounts.tallies import tallies
from jobs.batches.batch import QuoteTerms, Renewal
from jobs.batches.published import verify
from jobs.batches.rounds import add_to_budget, close, reopen, require_batch, resume
from jobs.batches.rounds import pause as hold
from jobs.errors import RequestError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.scripts import KEYS
from jobs.prices import Money
from jobs.publishing.publish import publish
from tests.conftest import BINARIES
from tests.faults.lane_checks import lane_faults
from tests.faults.model.moved_time import ImitatedServer, RealServer
from tests.faults.model.protocol_checks import Published
from tests.faults.model.protocol_model import (
    EVENING,
    LANE,
    LEASE_MS,
    PRICES,
    SETTINGS,
    SHARED,
    Ending,
    Process,
    SweeperProcess,
    Worker,
    World,
    draw_few_rows,
)
from tests.faults.model.stepping import Fate

LONG: Final = os.environ.get("FAULTS") == "long"
EXAMPLES: Final = int(os.environ.get("FAULTS_EXAMPLES", "2000" if LONG else "40"))
STEPS: Final = st.one_of(st.none(), st.none(), st.integers(0, 12))
PICK: Final = st.integers(0, 7)
MINUTES: Final = st.sampled_from([None, None, 4, 15])
SOFT: Final = st.sampled_from([None, None, 1, 3])
"""The soft deadline in minutes. It always comes before the deadline."""
QUOTES: Final = st.sampled_from([None, None, QuoteTerms(), QuoteTerms(goes_on=True)])
ENDINGS: Final = st.sampled_from(["completed", "completed", "failed", "retried"])
BUDGETS: Final = st.sampled_from([None, None, 100_000, 200_000, 400_000])
"""Budgets in billionths. A row of the model has a reservation of about 93,000, and is charged a quarter to all of it."""
HEALTHY_TURNS: Final = 120
"""Turns of the healthy worker at the end: far more than it needs for the work that an example can leave."""

SCRATCH: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Folder of the stores: in memory if possible, for speed. The calls are the same."""
KINDS: Final = load_kinds()


class Protocol(RuleBasedStateMachine):
    """All events, in any order. A rule that picks a busy process only lets it continue, so each rule has something to do."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.published = Published(world)
        self.workers = [Worker(world, f"w{n}") for n in range(2)]
        self.sweepers = [SweeperProcess(world, f"s{n}") for n in range(2)]
        self.others = [Process(world, f"o{n}") for n in range(3)]
        self.everyone: list[Process] = [*self.workers, *self.sweepers, *self.others]
        self.saved: tuple[Any, bool] | None = None
        self.disturbances = 0

    # -- what is submitted, and what operators do

    @initialize(
        key=st.sampled_from("abc"), rows=st.integers(1, 5), minutes=MINUTES, soft=SOFT, budget=BUDGETS, quote=QUOTES
    )
    def begin(
        self,
        key: str,
        rows: int,
        minutes: int | None,
        soft: int | None,
        budget: int | None,
        quote: QuoteTerms | None,
    ) -> None:
        self.submit(key, rows, False, minutes, soft, 4, 0, None, budget, quote)

    @rule(
        key=st.sampled_from("abc"),
        rows=st.integers(1, 6),
        bad=st.booleans(),
        minutes=MINUTES,
        soft=SOFT,
        priority=st.sampled_from([4, 4, 7]),
        who=PICK,
        steps=STEPS,
        budget=BUDGETS,
        quote=QUOTES,
    )
    def submit(
        self,
        key: str,
        rows: int,
        bad: bool,
        minutes: int | None,
        soft: int | None,
        priority: int,
        who: int,
        steps: int | None,
        budget: int | None,
        quote: QuoteTerms | None,
    ) -> None:
        lines = [_line(key, row) for row in range(rows)] + [b"no JSON\n"] * bad
        deadline, publish_at = (
            None if minute is None else EVENING.replace(minute=minute) for minute in (minutes, soft)
        )
        tenant = "a" if key == "a" else SHARED
        options = IntakeOptions(
            name=key, tenant=tenant, priority=priority, deadline=deadline, publish_at=publish_at, quote=quote
        )
        if budget is not None:
            options = replace(options, budget=Money(amount=budget, currency=PRICES.currency))

        def act() -> None:
            if len(self.published.batches()) < 4:
                accept(process.store, lines, options, kinds=KINDS, settings=SETTINGS, run_key=key, clock=self.world.now)

        process = self._anyone(self.others, who)
        self._begin(process, act, steps)

    @rule(which=PICK, who=PICK, amount=st.sampled_from([60_000, 200_000]), steps=STEPS)
    def add_money(self, which: int, who: int, amount: int, steps: int | None) -> None:
        """Add to the budget of a batch, as `resume --budget` does. Most batches have none."""
        process = self._anyone(self.others, who)

        def act(batch: str) -> None:
            more = Money(amount=amount, currency=PRICES.currency)
            add_to_budget(process.store, require_batch(process.store, batch), more, clock=self.world.now)

        self._with_batch(process, which, act, steps)

    @rule(which=PICK, who=PICK, steps=STEPS)
    def cancel(self, which: int, who: int, steps: int | None) -> None:
        process = self._anyone(self.others, who)

        def act(batch: str) -> None:
            closed = close(process.store, batch, "cancelled", clock=self.world.now)
            process.queue.drop(LANE, batch, closed.round, forget=False)

        self._with_batch(process, which, act, steps)

    @rule(
        which=PICK,
        who=PICK,
        rows=st.one_of(st.none(), st.sets(st.integers(0, 5), min_size=1)),
        renewed=st.one_of(st.just(set()), st.sets(st.integers(0, 3), min_size=1)),
        steps=STEPS,
    )
    def reopen(self, which: int, who: int, rows: set[int] | None, renewed: set[int], steps: int | None) -> None:
        """Send rows back by name, renew rows, or both."""
        process = self._anyone(self.others, who)
        named = None if rows is None else sorted(rows)
        renews = [Renewal(rows=tuple(sorted(renewed)))] if renewed else []

        def act(batch: str) -> None:
            reopen(process.store, batch, named, clock=self.world.now, renews=renews)

        self._with_batch(process, which, act, steps)

    @rule(which=PICK, who=PICK, steps=STEPS)
    def publish(self, which: int, who: int, steps: int | None) -> None:
        process = self._anyone(self.others, who)
        self._with_batch(
            process, which, lambda batch: publish(process.store, batch, prices=PRICES, clock=self.world.now), steps
        )

    @rule(which=PICK, who=PICK, resumed=st.booleans(), steps=STEPS)
    def hold(self, which: int, who: int, resumed: bool, steps: int | None) -> None:
        """Pause a batch as the breaker does, or resume it as an operator does, who also agrees to a quote."""
        process = self._anyone(self.others, who)

        def act(batch: str) -> None:
            found = require_batch(process.store, batch)
            if resumed:
                resume(process.store, found, clock=self.world.now)
            else:
                hold(process.store, found, "nothing but failures", clock=self.world.now)

        self._with_batch(process, which, act, steps)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        (self.world.queue.pause if paused else self.world.queue.resume)(LANE)

    @rule(which=PICK)
    def announce(self, which: int) -> None:
        if batches := self.published.batches():
            self.world.queue.announce(LANE, batches[which % len(batches)])

    # -- what workers and sweepers do

    @rule(who=PICK, n=st.integers(1, 5), steps=STEPS)
    def claim(self, who: int, n: int, steps: int | None) -> None:
        worker = self._worker(who)
        self._begin(worker, lambda: worker.claim(n), steps)

    @rule(who=PICK, steps=STEPS)
    def feed(self, who: int, steps: int | None) -> None:
        worker = self._worker(who)
        self._begin(worker, worker.top_up, steps)

    @precondition(lambda self: any(worker.held and not worker.busy for worker in self.workers))
    @rule(
        who=PICK,
        place=PICK,
        ending=ENDINGS,
        delay_s=st.sampled_from([0, 30]),
    )
    def finish(self, who: int, place: int, ending: Ending, delay_s: int) -> None:
        worker = self._worker(who, lambda worker: bool(worker.held) and not worker.busy)
        worker.finish(place, ending, delay_s * 1000)

    @precondition(lambda self: any(worker.finished or worker.unwritten or worker.unsettled for worker in self.workers))
    @rule(who=PICK, most=st.integers(1, 8), steps=STEPS)
    def flush(self, who: int, most: int, steps: int | None) -> None:
        worker = self._worker(who, lambda worker: bool(worker.finished or worker.unwritten or worker.unsettled))
        self._begin(worker, lambda: worker.flush(most), steps)

    @rule(who=PICK, n=st.integers(1, 8), turns=st.integers(1, 4), sweep=st.booleans())
    def work(self, who: int, n: int, turns: int, sweep: bool) -> None:
        """Let a worker take some turns without faults."""
        worker, sweeper = self._worker(who), self.sweepers[who % len(self.sweepers)]
        worker.go()
        sweeper.go()
        for _ in range(turns):
            self._turn(worker, n)
        if sweep:
            sweeper.sweeper.sweep()

    @rule(who=PICK, steps=STEPS)
    def beat(self, who: int, steps: int | None) -> None:
        worker = self._worker(who)
        self._begin(worker, worker.beat, steps)

    @precondition(lambda self: any(worker.held and not worker.busy for worker in self.workers))
    @rule(who=PICK, place=PICK, steps=STEPS)
    def release(self, who: int, place: int, steps: int | None) -> None:
        worker = self._worker(who, lambda worker: bool(worker.held) and not worker.busy)
        lease = list(worker.held)[place % len(worker.held)]
        self._begin(worker, lambda: worker.release([lease]), steps)

    @rule(who=PICK, steps=STEPS)
    def sweep(self, who: int, steps: int | None) -> None:
        process = self.sweepers[who % len(self.sweepers)]
        self._begin(process, process.sweeper.sweep, steps)

    # -- what goes wrong

    @precondition(lambda self: self._busy())
    @rule(who=PICK, steps=STEPS)
    def go_on(self, who: int, steps: int | None) -> None:
        self._busy()[who % len(self._busy())].go(steps)

    @precondition(lambda self: self._busy())
    @rule(who=PICK, fate=st.sampled_from(["resent", "fails", "fails after"]))
    def trouble(self, who: int, fate: Fate) -> None:
        self.world.disturb()
        self._busy()[who % len(self._busy())].suffer(fate)

    @rule(who=PICK)
    def die(self, who: int) -> None:
        self.world.disturb()
        self.everyone[who % len(self.everyone)].die()

    @rule(who=PICK, n=st.integers(1, 5), place=PICK, ending=ENDINGS, dies=st.booleans())
    def outlive(self, who: int, n: int, place: int, ending: Ending, dies: bool) -> None:
        """Let the leases of a worker run out. The worker has died, or it stood still and does not know that its leases are
        gone.
        """
        worker = self._worker(who)
        worker.go()
        worker.claim(n)
        if worker.held:
            worker.finish(place, ending)
        if dies:
            self.world.disturb()
            worker.die()
        self.world.let_leases_run_out()

    @rule(ms=st.sampled_from([6_000, 31_000, None, 5 * LEASE_MS]))
    def time_passes(self, ms: int | None) -> None:
        if ms is None:
            self.world.let_leases_run_out()
        else:
            self.world.pass_ms(ms)

    @rule()
    def save(self) -> None:
        self.saved = self.world.server.save(), self.world.odd

    @precondition(lambda self: self.saved is not None)
    @rule()
    def roll_back(self) -> None:
        assert self.saved is not None
        self.world.disturb()
        saved, self.world.odd = self.saved
        self.world.server.roll_back(saved)

    @rule()
    def wipe(self) -> None:
        self.world.disturb()
        self.world.odd = False
        self.world.server.client.flushall()

    @rule(name=st.sampled_from([*KEYS, "keeper:"]))
    def evict(self, name: str) -> None:
        self.world.disturb()
        self.world.odd = True
        self.world.bytes_lost |= name == "meta"
        self.world.server.client.delete(f"np:2:{{-/{LANE}}}:{name}")

    @precondition(lambda self: self.world.packets)
    @rule(which=st.integers(0, 39))
    def packet_comes_again(self, which: int) -> None:
        self.world.disturb()
        self.world.queue.send_again(self.world.packets[which % len(self.world.packets)])

    # -- what must hold

    @invariant()
    def every_job_is_in_one_state(self) -> None:
        assert not (faults := self._lane_faults()), faults

    @invariant()
    def no_ended_batch_is_left_on_the_lane(self) -> None:
        """Check the lane for batches that have ended. This is checked only while nobody feeds, and only if nothing went wrong
        since the last check.
        """
        if not any(worker.busy for worker in self.workers):
            left = {worker.name: worker.leftovers() for worker in self.workers if worker.fed}
            assert self.disturbances != self.world.disturbances or not any(left.values()), left
            self.disturbances = self.world.disturbances

    @invariant()
    def published_rounds_are_right_and_do_not_change(self) -> None:
        self.published.look()

    @invariant()
    def the_batches_of_a_tenant_stay_within_its_budget(self) -> None:
        money = SETTINGS.tenants[SHARED].budget_a_day
        assert money is not None
        charged = self.published.of_tenant(SHARED)
        assert charged <= money.amount, f"{charged} of {money.amount} are charged"
        if charged:
            self.world.seen.add(f"{10 * charged // money.amount} tenths of a tenant's budget are charged")

    def teardown(self) -> None:
        """Let one healthy worker and one sweeper finish everything, and check the result."""
        try:
            for process in self.everyone:
                process.go()
            self._finish()
            for what in self.world.seen:
                event(what)
        finally:
            for process in self.everyone:
                process.die()
            shutil.rmtree(self.world.folder)
            self.world.server.client.close()

    def _finish(self) -> None:
        worker, sweeper = Worker(self.world, "healthy"), SweeperProcess(self.world, "sweeper")
        for _ in range(HEALTHY_TURNS):
            self.world.queue.resume(LANE)  # the lane pauses itself when too many workers died
            for batch in self.published.batches():
                with contextlib.suppress(RequestError):  # most batches are not paused
                    resume(self.world.store, require_batch(self.world.store, batch), clock=self.world.now)
            self._turn(worker, 8)
            open_batches = sweeper.sweeper.sweep()
            self.published.look()
            assert not (faults := self._lane_faults()), faults
            if not open_batches:
                break
            self.world.pass_ms(LEASE_MS // 2)
        assert not open_batches, "a batch is never published"
        for batch in self.published.batches():
            assert verify(self.world.store, batch) == []
            assert self.published.rounds[batch] > 0, sorted(
                path.name for path in self.published.folder(batch).iterdir()
            )
        charged = tallies(self.world.store, "batch").get(PRICES.currency, {})
        assert charged.keys() <= set(self.published.batches())
        for batch in self.published.batches():
            tally = charged.get(batch, Tally())
            assert (tally.rows, tally.usage.charge) == self.published.charged(batch)

    def _lane_faults(self) -> list[str]:
        """Return the faults of the lane. Return none between the loss of a key and the next claim, which repairs the lane."""
        world = self.world
        return [] if world.odd else lane_faults(world.server.client, LANE, bytes_lost=world.bytes_lost)

    def _turn(self, worker: Worker, n: int) -> None:
        worker.claim(n)
        while worker.held:
            worker.finish(0, "completed")
        worker.flush(100)
        worker.beat()

    def _begin(self, process: Process, act: Callable[[], object], steps: int | None) -> None:
        if not process.busy:
            process.start(act, (RequestError,))
        process.go(steps)

    def _with_batch(self, process: Process, which: int, act: Callable[[str], object], steps: int | None) -> None:
        if batches := self.published.batches():
            self._begin(process, lambda: act(batches[which % len(batches)]), steps)

    def _anyone(self, processes: Sequence[Process], who: int) -> Process:
        return processes[who % len(processes)]

    def _worker(self, who: int, fit: Callable[[Worker], bool] = lambda _: True) -> Worker:
        fitting = [worker for worker in self.workers if fit(worker)]
        return fitting[who % len(fitting)]

    def _busy(self) -> list[Process]:
        return [process for process in self.everyone if process.busy]


def _line(key: str, row: int) -> bytes:
    """Return a line of input. In every other row, the request is too long to be put on the queue inline."""
    return b'{"kind":"chat","model":"stub","prompt":"%s %d%s"}\n' % (key.encode(), row, b" and more" * (20 * (row % 2)))


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_few_rows(monkeypatch)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


@pytest.mark.usefixtures("_quiet")
@pytest.mark.timeout(36_000 if LONG else 300 + 10 * EXAMPLES)
@pytest.mark.parametrize("name", ["fake", *BINARIES])
def test_no_order_of_events_loses_a_row_or_publishes_one_twice(
    name: str, servers: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def machine() -> Protocol:
        server = ImitatedServer(monkeypatch) if name == "fake" else RealServer(servers(name))
        return Protocol(World(tempfile.mkdtemp(prefix="nightpress-", dir=SCRATCH), server))

    run_state_machine_as_test(cast("Any", machine), settings=profile(EXAMPLES))


def profile(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=60 if LONG else 40,
        derandomize=not LONG,
        database=None,
        deadline=None,
        print_blob=True,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=list(HealthCheck),
    )
