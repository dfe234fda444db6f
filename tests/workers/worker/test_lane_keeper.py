"""Shows that one worker of a lane looks for batches, feeds and reads segments for all, and that any other takes over.

The claims are made one by one, in the thread of the test, which also moves the clocks.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import pause, require_batch, resume
from jobs.errors import StoreUnavailable
from jobs.lanes.announcing import announce
from jobs.lanes.protocol import Settlement
from jobs.store.local import LocalStore
from tests.support.clocks import MovedClock
from tests.support.lane import LEASE_MS, ME
from tests.support.lane import pass_ms as pass_redis_ms
from tests.support.night import LANE, settings_of
from tests.support.worker_night import WorkerNight
from workers.worker.claimer import Claimer
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse
from workers.worker.lane_keeper import KEEP_MS, LOOK_S, STAND_BACK_S

SLOTS = 4
ASKED = frozenset({"list", "read", "read_range", "reader", "exists", "size", "create"})


class Counted(LocalStore):
    """A store that counts its requests by kind and folder. All are refused while it is away."""

    away = False

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.asked: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ASKED:
            return found

        def ask(path: str, *args: Any) -> Any:
            self.asked[f"{name} {'segments' if '/segments/' in path else path.partition('/')[0]}"] += 1
            if self.away:
                raise StoreUnavailable("storage: it is away")
            return found(path, *args)

        return ask


class Fleet(WorkerNight):
    """Workers of one lane, each with a claimer that has no thread. `asked` counts the requests of all their stores."""

    def __init__(self, folder: Path, client: redis.Redis, workers: int, **given: Any) -> None:
        self.clock = MovedClock()
        settings = settings_of(batch_scan_s=2.0, spool_dir=folder / "spool", **given)
        super().__init__(LocalStore(str(folder / "store")), client, settings, monotonic=self.clock.monotonic)
        self.stores = [Counted(str(folder / "store")) for _ in range(workers)]
        self.contexts, self.claimers = [], []
        night_store = self.store
        for n, store in enumerate(self.stores):
            self.store = store
            batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s, monotonic=self.monotonic)
            context = self.context(name=f"w-{n}", slots=SLOTS, batches=batches)
            self.contexts.append(context)
            self.claimers.append(Claimer(context, Flusher(context, Heartbeat(context)), Pulse()))
        self.store = night_store

    @property
    def asked(self) -> Counter[str]:
        return sum((store.asked for store in self.stores), Counter[str]())

    @property
    def keepers(self) -> list[int]:
        return [n for n, claimer in enumerate(self.claimers) if claimer._keeper.keeps]

    def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        pass_redis_ms(self.client, int(seconds * 1000))

    def turn(self, *without: int) -> Counter[str]:
        """Let each worker claim once, but those named. Returns the requests that storage got."""
        before = self.asked
        for n, claimer in enumerate(self.claimers):
            if n not in without:
                claimer._claim_if_room()
        return self.asked - before

    def begun(self, n: int) -> list[int]:
        """The rows that a worker has begun since the last call. They are settled at once."""
        jobs = [turn.attempt.job for turn in self.claimers[n].ready()]
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
        self.contexts[n].leases.remove(job.lease for job in jobs)
        return [job.key.row for job in jobs]


@pytest.fixture
def fleet_of(tmp_path: Path, fake_client: redis.Redis) -> Callable[..., Fleet]:
    """Makes a fleet of some workers on an empty store."""
    folders = iter(range(100))

    def made(workers: int, **given: Any) -> Fleet:
        fake_client.flushall()
        return Fleet(tmp_path / str(next(folders)), fake_client, workers, **given)

    return made


def test_what_idle_workers_ask_of_storage_does_not_grow_with_their_number(fleet_of: Callable[..., Fleet]) -> None:
    asked = {}
    for workers in (1, 3, 12):
        fleet = fleet_of(workers)
        fleet.accept(20)
        for _ in range(6):
            fleet.turn()
            for n in range(workers):
                fleet.begun(n)
        fleet.pass_s(fleet.settings.batch_scan_s)
        fleet.turn()
        before = fleet.asked
        for _ in range(30):
            fleet.pass_s(1.0)
            fleet.turn()
        asked[workers] = fleet.asked - before
    assert asked[1]["list open"] == 15
    assert asked[12] == asked[3] == asked[1]


def test_a_worker_that_does_not_feed_reads_no_segment(fleet_of: Callable[..., Fleet]) -> None:
    """All workers run rows of a batch that has segments already. Only the keeper knows what is in them."""
    fleet = fleet_of(6, window_rows=400)
    fleet.accept(200)
    for _ in range(10):
        fleet.finish(fleet.claim(5))
    fleet.turn()
    fleet.turn()
    assert all(fleet.begun(n) for n in range(6))
    readers = [n for n, store in enumerate(fleet.stores) if any(what.endswith(" segments") for what in store.asked)]
    assert readers == fleet.keepers
    assert len(readers) == 1


@pytest.mark.parametrize("gone_s", [KEEP_MS / 1000 + 0.1, 60.0])
def test_a_lane_whose_keeper_is_gone_is_fed_by_the_next_worker(fleet_of: Callable[..., Fleet], gone_s: float) -> None:
    fleet = fleet_of(3)
    fleet.turn()
    assert fleet.keepers == [0]
    fleet.accept(4)
    fleet.pass_s(KEEP_MS / 1000 - 0.5)
    fleet.turn(0)
    fleet.turn(0)
    assert not any(fleet.begun(n) for n in (1, 2)), "the keeper may still feed"
    fleet.pass_s(gone_s)
    fleet.turn(0)
    fleet.turn(0)
    assert sorted(fleet.begun(1) + fleet.begun(2)) == [0, 1, 2, 3]
    fleet.turn()
    assert fleet.keepers == [1], "the first one learns that it has lost the lane"
    assert list(fleet.contexts[0].batches) == [], "and keeps nothing in memory"


def test_a_keeper_without_storage_leaves_the_lane_to_another(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    fleet.turn()
    fleet.accept(4)
    fleet.stores[0].away = True
    fleet.pass_s(fleet.settings.batch_scan_s)
    fleet.turn()
    fleet.pass_s(STAND_BACK_S / 2)
    fleet.turn()
    fleet.turn(0)
    assert fleet.begun(1) == [0, 1, 2, 3]
    fleet.pass_s(STAND_BACK_S)
    fleet.turn()
    assert fleet.keepers == [1]


def test_a_keeper_whose_storage_is_back_goes_on(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    fleet.turn()
    fleet.accept(4)
    fleet.stores[0].away = True
    fleet.pass_s(fleet.settings.batch_scan_s)
    fleet.turn()
    fleet.stores[0].away = False
    fleet.pass_s(STAND_BACK_S)
    fleet.turn()
    fleet.turn()
    assert fleet.begun(0) == [0, 1, 2, 3]


def test_a_keeper_without_room_still_feeds(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2, window_rows=100)
    fleet.accept(8)
    fleet.turn(1)
    fleet.turn(1)
    assert fleet.contexts[0].leases.in_hand == 2 * SLOTS
    fleet.accept(8, "second")
    for _ in range(8):
        fleet.pass_s(LOOK_S)
        fleet.turn(1)
    assert fleet.keepers == [0]
    assert fleet.snapshot().ready == 8
    fleet.turn(0)
    assert len(fleet.begun(1)) == 8


def test_a_look_at_many_batches_does_not_lose_the_lane(
    fleet_of: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch takes as long as half of the time for which a claim keeps the lane."""
    fleet = fleet_of(2)
    for n in range(6):
        fleet.accept(2, f"b{n}")
    feeder = fleet.contexts[0].feeder
    whole = feeder._feed

    def slow(*args: Any) -> Any:
        fleet.pass_s(KEEP_MS / 2000)
        fleet.claimers[1]._claim_if_room()
        return whole(*args)

    monkeypatch.setattr(feeder, "_feed", slow)
    fleet.claimers[0]._claim_if_room()
    assert fleet.keepers == [0]


# -- announcements


def test_an_announced_batch_is_found_at_the_next_claim(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    fleet.turn()
    batch = fleet.accept(4)
    fleet.turn()
    fleet.turn()
    assert fleet.begun(0) == [], "storage was scanned a moment ago"
    announce(fleet.store, lambda: fleet.queue, batch.batch_id)
    fleet.turn()
    fleet.turn()
    assert fleet.begun(0) + fleet.begun(1) == [0, 1, 2, 3]
    asked = fleet.turn()
    assert asked["list open"] == 0, "one announcement, one look"


def test_a_resumed_batch_goes_on_at_the_next_claim(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    batch = fleet.accept(4)
    pause(fleet.store, batch, "only failures")
    for _ in range(3):
        fleet.turn()
    resume(fleet.store, require_batch(fleet.store, batch.batch_id))
    fleet.turn()
    assert fleet.begun(0) == []
    announce(fleet.store, lambda: fleet.queue, batch.batch_id)
    fleet.turn()
    fleet.turn()
    assert fleet.begun(0) == [0, 1, 2, 3]


def test_a_batch_that_nobody_announced_is_found_by_the_scan(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(2)
    fleet.turn()
    fleet.accept(4)
    fleet.pass_s(fleet.settings.batch_scan_s)
    fleet.turn()
    fleet.turn()
    assert fleet.begun(0) + fleet.begun(1) == [0, 1, 2, 3]


def test_nothing_happens_if_a_batch_cannot_be_announced(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(1)
    fleet.accept(1)
    announce(fleet.store, lambda: None, fleet.batch_id)
    announce(fleet.store, lambda: fleet.queue, "no-such-batch")
    fleet.stores[0].away = True
    announce(fleet.stores[0], lambda: fleet.queue, fleet.batch_id)
    assert fleet.queue.lanes() == []


# -- waiting


def test_a_worker_that_waits_claims_once_it_is_woken(
    fleet_of: Callable[..., Fleet], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself, it would wait for longer than this test."""
    monkeypatch.setattr("jobs.lanes.idling.BackOff.next_s", lambda *_: 1e6)
    fleet = fleet_of(2)
    fleet.claimers[0]._claim_if_room()
    with fleet.claimers[1]:
        until(lambda: fleet.claimers[1]._found_none, 10, "the first claim")
        claims = fleet.claimers[1]._claims
        fleet.accept(4)
        fleet.pass_s(fleet.settings.batch_scan_s)
        fleet.queue.claim(LANE, "another-1-1", 0, LEASE_MS, ME)
        fleet.contexts[0].batches.scan(now=True)
        assert fleet.contexts[0].feeder.top_up(LANE) == 4
        until(lambda: fleet.contexts[1].leases.in_hand == 4, 10, "the worker to be woken")
        assert fleet.claimers[1]._claims > claims


def test_a_row_that_ends_does_not_make_a_waiting_worker_claim(
    fleet_of: Callable[..., Fleet], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a night each row that ends would cost a claim for which there are no jobs."""
    monkeypatch.setattr("jobs.lanes.idling.BackOff.next_s", lambda *_: 1e6)
    fleet = fleet_of(2)
    fleet.claimers[0]._claim_if_room()
    claimer = fleet.claimers[1]
    with claimer:
        until(lambda: claimer._found_none and not claimer._has_room.is_set(), 10, "the first claim")
        for _ in range(20):
            claimer.wake()
            until(lambda: not claimer._has_room.is_set(), 10, "the claimer to look")
        assert claimer._claims == 1


def test_a_waiting_worker_stops_at_once(
    fleet_of: Callable[..., Fleet], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.lanes.idling.BackOff.next_s", lambda *_: 1e6)
    fleet = fleet_of(2)
    fleet.claimers[0]._claim_if_room()
    with fleet.claimers[1] as claimer:
        until(lambda: claimer._found_none, 10, "the first claim")


def test_a_worker_of_some_batches_feeds_them_beside_the_keeper_of_all(
    fleet_of: Callable[..., Fleet], fake_client: redis.Redis
) -> None:
    fleet = fleet_of(1)
    fleet.turn()
    batch = fleet.accept(4)
    only = OpenBatches(fleet.store, frozenset([batch.batch_id]), monotonic=fleet.monotonic)
    context = fleet.context(name="run", slots=SLOTS, batches=only)
    claimer = Claimer(context, Flusher(context, Heartbeat(context)), Pulse())
    claimer._claim_if_room()
    claimer._claim_if_room()
    assert [turn.attempt.job.key.row for turn in claimer.ready()] == [0, 1, 2, 3]
    assert (fleet.keepers, claimer._keeper.keeps) == ([0], True)


def test_one_worker_reads_the_input_for_all(fleet_of: Callable[..., Fleet]) -> None:
    fleet = fleet_of(5, window_rows=400)
    fleet.accept(40)
    fleet.turn()
    fleet.turn()
    assert sum(len(fleet.begun(n)) for n in range(5)) == 40
    assert sum(store.asked["reader batches"] > 0 for store in fleet.stores) == 1
