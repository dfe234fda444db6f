"""Shows jobs/publishing/retention.py: a batch may be deleted at any moment, and no process that works with it reports anything
untrue.

A *party* is a process that works with the batch. Each party is run once for each of its calls of the store, and another process
deletes the batch before that call. Each party is also run after each step of a deletion that died there. Two deletions take
turns at many of their steps.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from jobs.accounts.summaries import catch_up
from jobs.accounts.tallies import tallies
from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import list_batches, load_batch, read_round, require_batch
from jobs.batches.segments.compaction import compact
from jobs.errors import NoBatch, RequestError
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.listing import listing
from jobs.operations.results import results
from jobs.operations.row_history import row_history
from jobs.operations.status_reader import StatusReader
from jobs.operations.waiting import wait
from jobs.prices import Prices
from jobs.publishing.delivery import Deliverer, undelivered_url
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch, delete_leftovers, find_old_batches
from jobs.publishing.sweeper import Sweeper
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.faults.model.stepping import Action, Gate, SteppedStore

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

Party = Callable[[Store, Shelf, RedisQueue], object]
CALLS = frozenset(
    {"create", "writer", "read", "read_range", "reader", "exists", "list", "size", "delete", "delete_files"}
)
BATCH = "night-1"


class Between:
    """A store that calls `other` once, before its n-th call. `calls` counts the calls."""

    def __init__(self, inner: Store, n: int, other: Callable[[], object]) -> None:
        self._inner, self._n, self._other, self.calls = inner, n, other, 0
        self.reads_at_once = 1
        self._inside = False

    def __getattr__(self, name: str) -> Any:
        if name == "discard":
            return lambda *paths: Store.discard(cast("Store", self), *paths)
        if name in CALLS and not self._inside:
            self.calls += 1
            if self.calls == self._n:
                self._inside = True
                self._other()
                self._inside = False
        return getattr(self._inner, name)


def _delete(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    delete_batch(store, BATCH, clock=shelf.clock)


def _sweep(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    for batch_id, _at in find_old_batches(store, timedelta(0), clock=shelf.clock):
        with suppress(NoBatch):
            undelivered_url(store, batch_id)
            delete_batch(store, batch_id, clock=shelf.clock)
    delete_leftovers(store, timedelta(0))


def _sweeper(store: Store, shelf: Shelf, queue: RedisQueue) -> None:
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), Prices(), shelf.clock, compact_segments=1)
    sweeper.sweep()
    sweeper.sweep()


def _scan(store: Store, shelf: Shelf, queue: RedisQueue) -> None:
    del shelf, queue
    batches = OpenBatches(store, batch_scan_s=0.0)
    for _ in range(2):
        batches.get(BATCH)
        batches.scan()


def _status(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    now = StatusReader(store, None, clock=shelf.clock, counts_late=True).read(listing(store).ids)
    assert [one.state for one in now.batches] in ([], ["published"])
    assert all(one.completed == 1 and one.late is not None and one.late.charge >= 0 for one in now.batches)


def _status_of_it(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    assert StatusReader(store, None, clock=shelf.clock).batch(BATCH).state == "published"


def _results(store: Store, *_: Any) -> None:
    assert [row["row"] for row in results(store, BATCH)] == [0]


def _show(store: Store, *_: Any) -> None:
    assert row_history(store, BATCH, 0, load_kinds()).outcome is not None


def _wait(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    reader = StatusReader(store, None, clock=shelf.clock)
    assert wait(reader, BATCH, until=None, sleep=lambda _: None, clock=shelf.clock).completed == 1


def _publish(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    publish(store, BATCH, prices=Prices(), clock=shelf.clock)


def _deliver(store: Store, shelf: Shelf, _: RedisQueue) -> None:
    Deliverer(store, lambda _: {}, load_kinds(), shelf.clock).deliver()


def _accounts(store: Store, *_: Any) -> None:
    catch_up(store)
    assert tallies(store, "batch")


def _compact(store: Store, *_: Any) -> None:
    index = OutcomeIndex(store, require_batch(store, BATCH))
    index.refresh()
    compact(store, index)


PARTIES: list[Any] = [
    pytest.param(party, id=party.__name__.strip("_").replace("_", " "))
    for party in (
        *(_delete, _sweep, _sweeper, _scan, _status, _status_of_it, _results, _show, _wait, _publish, _deliver),
        *(_accounts, _compact),
    )
]


def publish_one(shelf: Shelf, tmp_path: Path) -> Any:
    """Publish a batch of two rows in two segments, and return its usage.

    The batch owes its outputs to a URL, its hint is left, and its round is not in the accounts yet.
    """
    shelf.accept(rows=2, output_url=f"{tmp_path}/out/")
    shelf.write(BATCH, [shelf.completed(0)])
    shelf.write(BATCH, [shelf.failed(1)])
    shelf.publish()
    shelf.store.create(BatchPaths(BATCH).open_hint, b"")
    usage = tallies(shelf.store, "batch")
    shelf.forget_summaries()
    return usage


def check_gone(shelf: Shelf, usage: Any) -> None:
    """Complete a deletion that is unfinished, and check that only the usage of the batch is left."""
    store = shelf.store
    for batch_id, _ in find_old_batches(store, timedelta(0), clock=shelf.clock):
        delete_batch(store, batch_id, clock=shelf.clock)
    Deliverer(store, lambda _: {}, {}, shelf.clock).deliver()
    catch_up(store)
    OpenBatches(store, batch_scan_s=0.0).scan()
    assert list_batches(store) == []
    assert (store.list("open"), store.list("undelivered"), store.list("unsummed")) == ([], [], [])
    assert tallies(store, "batch") == usage


def meet_a_deletion(party: Party, n: int, shelf: Shelf, tmp_path: Path, queue: RedisQueue) -> int:
    """Run a party, and delete the batch before the party's n-th call of the store. Returns how many calls the party made."""
    usage = publish_one(shelf, tmp_path)

    def other() -> None:
        with suppress(NoBatch):
            delete_batch(shelf.store, BATCH, clock=shelf.clock)

    between = Between(shelf.store, n, other)
    with suppress(*([NoBatch] if n else [])):
        party(cast("Store", between), shelf, queue)
    if n:
        assert list_batches(shelf.store) == [], "it made a file in the folder of the deleted batch, and left it"
    other()
    check_gone(shelf, usage)
    return between.calls


@pytest.mark.parametrize("party", PARTIES)
def test_a_batch_may_be_deleted_before_any_call_of_a_party(
    party: Party, shelf: Shelf, tmp_path: Path, fake_queue: RedisQueue
) -> None:
    calls = meet_a_deletion(party, 0, shelf, tmp_path, fake_queue)
    assert calls > 3
    for n in range(1, calls + 1):
        one = type(shelf)(open_store(str(tmp_path / f"store-{n}")))
        meet_a_deletion(party, n, one, tmp_path, fake_queue)


@pytest.mark.parametrize("party", [_delete, _sweep, _status, _sweeper])
def test_a_batch_in_an_object_store_may_be_deleted_too(
    party: Party, shelf: Shelf, s3_options: dict[str, str], tmp_path: Path, fake_queue: RedisQueue
) -> None:
    def place() -> Shelf:
        return type(shelf)(open_store(f"s3://nightpress/{uuid.uuid4().hex}", s3_options))

    calls = meet_a_deletion(party, 0, place(), tmp_path, fake_queue)
    for n in range(1, calls + 1, 7):
        meet_a_deletion(party, n, place(), tmp_path, fake_queue)


def test_two_deletions_take_turns_at_any_of_their_steps(shelf: Shelf, tmp_path: Path) -> None:
    """The first deletion stops before its n-th call, and the second makes m calls. Then the first continues to its end, and
    after it the second.
    """
    n = m = 0
    turns, first_ended, second_ended = 0, False, False
    while not first_ended:
        m, second_ended = 0, False
        while not second_ended:
            one = type(shelf)(open_store(str(tmp_path / f"store-{n}-{m}")))
            usage = publish_one(one, tmp_path)
            gates = [Gate(), Gate()]
            actions = [gate.start(partial(_stepped_delete, one, gate)) for gate in gates]
            _step(actions[0], n)
            first_ended = actions[0].over
            _step(actions[1], m)
            second_ended = actions[1].over
            for action in actions:
                _step(action, 1_000)
                assert action.error is None or isinstance(action.error, NoBatch), action.error
            check_gone(one, usage)
            turns, m = turns + 1, m + 4
        n += 2
    assert turns > 50


def _stepped_delete(shelf: Shelf, gate: Gate) -> None:
    store = SteppedStore(shelf.store.url, gate, lambda *_: None, lambda *_: None)
    delete_batch(store, BATCH, clock=shelf.clock)


def _step(action: Action, times: int) -> None:
    for _ in range(times):
        if action.over:
            return
        action.step("made")


def test_a_batch_that_is_accepted_again_meanwhile_is_not_deleted(shelf: Shelf, tmp_path: Path) -> None:
    """A slow deletion continues after another deletion has ended and the same batch was accepted again.

    The slow deletion looks at the acceptance before it deletes a file. No store can look and delete at once, so a file that is
    created in between may be lost.
    """
    publish_one(shelf, tmp_path)
    calls = Between(shelf.store, 0, lambda: None)
    delete_batch(cast("Store", calls), BATCH, clock=shelf.clock)
    lost = []
    for n in range(1, calls.calls + 1):
        one = type(shelf)(open_store(str(tmp_path / f"store-{n}")))
        publish_one(one, tmp_path)

        def again(one: Shelf = one) -> None:
            with suppress(NoBatch):
                delete_batch(one.store, BATCH, clock=one.clock)
            one.pass_s(1)
            one.accept(rows=2)

        with suppress(NoBatch, RequestError):
            delete_batch(cast("Store", Between(one.store, n, again)), BATCH, clock=one.clock)
        batch = load_batch(one.store, BATCH)
        if batch is None or not one.store.exists(BatchPaths(BATCH).input("stub")):
            lost.append(n)
        else:
            assert batch.created_at == one.now
            assert not read_round(one.store, batch).published
    assert len(lost) <= len(["the acceptance", "input", "published", "segments", "the markers"])


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("step", range(12))
def test_any_party_may_come_after_any_step_of_a_deletion(
    party: Party,
    step: int,
    shelf: Shelf,
    tmp_path: Path,
    fake_queue: RedisQueue,
    dying: Callable[[Store, int], Store],
    killed: type[BaseException],
) -> None:
    usage = publish_one(shelf, tmp_path)
    with suppress(killed):
        delete_batch(dying(shelf.store, step), BATCH, clock=shelf.clock)
        assert step > 9, "the deletion is over before this step"
    with suppress(NoBatch):
        party(shelf.store, shelf, fake_queue)
    with suppress(NoBatch):
        delete_batch(shelf.store, BATCH, clock=shelf.clock)
    check_gone(shelf, usage)
