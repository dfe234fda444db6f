"""Shows jobs/batches/open_batches.py: storage alone decides which batches are open, and hints only make a scan shorter."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close, reopen
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store

KINDS = load_kinds()
SETTINGS = Settings(model="stub")
EVENING = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def batches(store: Store) -> OpenBatches:
    return OpenBatches(store, batch_scan_s=0.0)


def made(store: Store, name: str = "b", priority: int = 4) -> Batch:
    """A batch of two rows."""
    lines = io.BytesIO(b'{"kind":"chat","prompt":"x"}\n' * 2)
    options = IntakeOptions(name=name, priority=priority)
    return accept(store, lines, options, kinds=KINDS, settings=SETTINGS, run_key="k").batch


def ended(store: Store, batch: Batch) -> None:
    """Cancel the batch, and publish it."""
    close(store, batch.batch_id, "cancelled", clock=lambda: EVENING)
    assert isinstance(publish(store, batch.batch_id, prices=Prices()), Done)


def found(batches: OpenBatches) -> list[str]:
    batches.scan()
    return [index.batch.batch_id for index in batches]


def test_the_order_is_by_priority_then_age(store: Store, batches: OpenBatches) -> None:
    ids = [made(store, name, priority=priority).batch_id for name, priority in (("a", 1), ("b", 9), ("c", 1))]
    assert found(batches) == [ids[1], ids[0], ids[2]]


def test_the_batches_may_be_limited_to_some_ids(store: Store) -> None:
    wanted, other = made(store, "a"), made(store, "b")
    batches = OpenBatches(store, frozenset([wanted.batch_id]))
    assert found(batches) == [wanted.batch_id]
    assert batches.get("none") is None
    assert batches.get(other.batch_id) is not None


def test_a_folder_that_was_never_accepted_is_no_batch(store: Store, batches: OpenBatches) -> None:
    store.create("batches/half/input/stub.jsonl", b"{}\n")
    store.create("open/half", b"")
    store.create("batches/other/input/stub.jsonl", b"{}\n")
    assert found(batches) == []
    assert store.list("open") == ["half"]


def test_storage_is_scanned_at_most_every_batch_scan_s(store: Store) -> None:
    now = [0.0]
    batches = OpenBatches(store, batch_scan_s=10.0, monotonic=lambda: now[0])
    assert found(batches) == []
    batch = made(store)
    assert found(batches) == []
    now[0] = 10.0
    assert found(batches) == [batch.batch_id]


def test_the_first_scan_finds_every_batch_without_its_hint(store: Store, batches: OpenBatches) -> None:
    ids = sorted(made(store, name).batch_id for name in "abc")
    for batch_id in ids:
        store.delete(BatchPaths(batch_id).open_hint)
    assert sorted(found(batches)) == ids
    assert store.list("open") == ids


def test_the_first_scan_reads_several_batches_at_once(store: Store, meeting: Callable[[Store], Store]) -> None:
    for name in "abc":
        ended(store, made(store, name))
    assert found(OpenBatches(meeting(store))) == []


def test_each_later_scan_looks_at_one_more_batch_without_a_hint(store: Store, batches: OpenBatches) -> None:
    """The process that made the batch died before it made the hint, while a fleet was at work."""
    for name in "abc":
        ended(store, made(store, name))
    assert found(batches) == []
    batch = made(store, "d")
    store.delete(BatchPaths(batch.batch_id).open_hint)
    scans = [found(batches) for _ in range(4)]
    assert scans[-1] == [batch.batch_id]
    assert [] in scans
    assert store.list("open") == [batch.batch_id]


def test_a_damaged_batch_without_a_hint_holds_up_no_other(store: Store, batches: OpenBatches) -> None:
    store.create("batches/damaged/batch.json", b"{torn")
    batch = made(store)
    assert [found(batches) for _ in range(3)] == [[batch.batch_id]] * 3


def test_a_batch_that_cannot_be_read_is_tried_less_and_less_often(store: Store) -> None:
    now = [0.0]
    batches = OpenBatches(store, batch_scan_s=0.0, monotonic=lambda: now[0])
    batch = made(store)
    path = Path(store.url) / BatchPaths(batch.batch_id).acceptance
    whole = path.read_bytes()
    path.write_bytes(b"{torn")
    while now[0] < 8.0:
        assert found(batches) == []
        assert "Restore it from a backup" in str(batches.fault)
        now[0] += 1.0
    path.write_bytes(whole)
    assert found(batches) == []
    now[0] = 15.0
    assert found(batches) == [batch.batch_id]
    assert batches.fault is None


def test_a_published_batch_is_dropped_and_a_reopened_one_comes_back(store: Store, batches: OpenBatches) -> None:
    batch = made(store)
    hint = BatchPaths(batch.batch_id).open_hint
    assert found(batches) == [batch.batch_id]
    ended(store, batch)
    store.create(hint, b"")  # a hint of a batch that is not open
    index = batches.get(batch.batch_id)
    assert index is not None
    index.refresh()
    assert found(batches) == []
    assert store.list("open") == []
    reopen(store, batch.batch_id)
    assert found(batches) == [batch.batch_id]
    reopened = batches.get(batch.batch_id)
    assert reopened is not None
    assert reopened.round == 2


@pytest.mark.parametrize("limited", [False, True], ids=["all batches", "only some"])
def test_a_batch_that_another_process_published_and_deleted_is_dropped(store: Store, limited: bool) -> None:
    """After the deletion, the empty folder looks like that of a batch whose first round is open."""
    gone, stays = made(store, "a"), made(store, "b")
    batches = OpenBatches(store, frozenset([gone.batch_id, stays.batch_id]) if limited else None, batch_scan_s=0.0)
    assert found(batches) == [gone.batch_id, stays.batch_id]
    ended(store, gone)
    delete_batch(store, gone.batch_id)
    store.delete(BatchPaths(stays.batch_id).open_hint)  # this batch is open, and only lacks its hint
    assert found(batches) == [stays.batch_id]
    assert batches.get(gone.batch_id) is None


def test_a_damaged_batch_without_a_hint_is_not_dropped(store: Store, batches: OpenBatches) -> None:
    batch = made(store)
    assert found(batches) == [batch.batch_id]
    store.delete(BatchPaths(batch.batch_id).open_hint)
    (Path(store.url) / BatchPaths(batch.batch_id).acceptance).write_bytes(b"{torn")
    assert found(batches) == [batch.batch_id]


def test_the_hint_of_a_batch_that_is_gone_is_removed_and_a_foreign_file_stays(store: Store) -> None:
    store.create("open/gone-1", b"")
    store.create("open/notes.txt", b"mine")
    batches = OpenBatches(store, batch_scan_s=0.0)
    batches.scan()
    batches.scan()
    assert (list(batches), store.list("open")) == ([], ["notes.txt"])
