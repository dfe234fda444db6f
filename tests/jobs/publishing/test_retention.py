"""Shows jobs/publishing/retention.py: published batches and leftovers are deleted, open batches and the accounts stay."""

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from jobs.accounts.tallies import tallies
from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.published import verify
from jobs.batches.rounds import close, is_left_over, list_batches, load_batch, read_round, reopen
from jobs.errors import ConflictError, NoBatch, RequestError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch, delete_leftovers, find_old_batches
from jobs.settings import Settings
from jobs.store.local import LocalStore
from jobs.store.store import Store

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

Die = Callable[[Store, int], Store]


@pytest.fixture
def published(shelf: Shelf) -> Shelf:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    return shelf


def test_a_published_batch_is_deleted_and_its_usage_stays(published: Shelf) -> None:
    before = tallies(published.store, "batch")
    delete_batch(published.store, "night-1", clock=published.clock)
    assert list_batches(published.store) == []
    assert published.store.list("open") == []
    assert tallies(published.store, "batch") == before


def test_several_batches_are_looked_at_at_once(published: Shelf, meeting: Callable[[Store], Store]) -> None:
    published.accept("night-2", rows=1)
    found = find_old_batches(meeting(published.store), timedelta(0), clock=published.clock)
    assert [batch_id for batch_id, _ in found] == ["night-1"]


def test_an_open_batch_stays(shelf: Shelf) -> None:
    shelf.accept()
    with pytest.raises(RequestError, match="is open"):
        delete_batch(shelf.store, "night-1", clock=shelf.clock)
    assert load_batch(shelf.store, "night-1") is not None


def test_a_reopened_batch_stays(published: Shelf) -> None:
    reopen(published.store, "night-1", clock=published.clock)
    with pytest.raises(RequestError, match="is open"):
        delete_batch(published.store, "night-1", clock=published.clock)


def test_a_batch_that_is_reopened_while_its_deletion_decides_stays(published: Shelf) -> None:
    def clock() -> datetime:
        """Asked for the time of the marker, after the round was read and before the marker is created."""
        reopen(published.store, "night-1", clock=published.clock)
        return published.clock()

    with pytest.raises(RequestError, match="was reopened at this moment"):
        delete_batch(published.store, "night-1", clock=clock)
    batch = load_batch(published.store, "night-1")
    assert batch is not None
    assert read_round(published.store, batch).deadline is None


def test_a_batch_between_the_rounds_of_its_soft_deadline_stays(shelf: Shelf) -> None:
    batch = shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    shelf.publish_half()
    assert list(find_old_batches(shelf.store, timedelta(0), clock=shelf.clock)) == []
    with pytest.raises(RequestError, match="is open"):
        delete_batch(shelf.store, "night-1", clock=shelf.clock)
    assert read_round(shelf.store, batch).has_next_round


def test_a_batch_cannot_be_reopened_once_a_deletion_has_decided(
    published: Shelf, dying: Die, killed: type[BaseException]
) -> None:
    with pytest.raises(killed):
        delete_batch(dying(published.store, 4), "night-1", clock=published.clock)
    with pytest.raises(NoBatch):
        reopen(published.store, "night-1", clock=published.clock)


@pytest.mark.parametrize("step", range(12))
def test_a_deletion_that_dies_harms_nothing_and_is_completed_later(
    published: Shelf, step: int, dying: Die, killed: type[BaseException]
) -> None:
    store, usage = published.store, tallies(published.store, "batch")
    published.forget_summaries()
    try:
        delete_batch(dying(store, step), "night-1", clock=published.clock)
    except killed:
        assert step < 11
    if load_batch(store, "night-1") is not None and not is_left_over(store, "night-1"):
        done = publish(store, "night-1", prices=Prices(), clock=published.clock)
        assert isinstance(done, Done)
        assert done.counts["completed"] == 1
    assert tallies(store, "batch") == usage
    for batch_id, _ in find_old_batches(store, timedelta(0), clock=published.clock):
        delete_batch(store, batch_id, clock=published.clock)
    assert list_batches(store) == []
    assert tallies(store, "batch") == usage


@pytest.mark.parametrize("step", range(5, 10))  # at these steps, the acceptance is deleted already
def test_markers_of_a_half_deleted_batch_do_not_rule_over_the_next_of_its_id(
    shelf: Shelf, step: int, dying: Die, killed: type[BaseException]
) -> None:
    def take() -> Batch:
        line = orjson.dumps({"kind": "chat", "model": "stub", "prompt": "Hi?"})
        settings = Settings(store_url="unused", model="stub")
        return accept(
            shelf.store,
            [line, b"{"],
            IntakeOptions(),
            kinds=load_kinds(),
            settings=settings,
            run_key="k",
            clock=shelf.clock,
        ).batch

    first = take()
    close(shelf.store, first.batch_id, "cancelled", clock=shelf.clock)
    shelf.publish(first.batch_id)
    shelf.store.create(BatchPaths(first.batch_id).delivered(1), b"{}")
    with pytest.raises(killed):
        delete_batch(dying(shelf.store, step), first.batch_id, clock=shelf.clock)
    shelf.pass_s(60)
    with pytest.raises(ConflictError, match=f"nightpress delete {first.batch_id}"):
        take()
    delete_batch(shelf.store, first.batch_id, clock=shelf.clock)
    second = take()
    assert second.created_at == shelf.now
    current = read_round(shelf.store, second)
    assert (current.number, current.done, current.closed) == (1, None, None)
    assert sorted(shelf.store.list(BatchPaths(second.batch_id).root)) == [
        "batch.json",
        "input",
        "refused.jsonl",
        "segments",
    ]


def test_the_folder_of_an_intake_under_way_is_not_deleted(shelf: Shelf) -> None:
    path = BatchPaths("half").input("stub")
    shelf.store.create(path, b"")
    with pytest.raises(NoBatch):
        delete_batch(shelf.store, "half", clock=shelf.clock)
    assert shelf.store.exists(path)


def test_only_batches_that_were_published_long_ago_are_found(published: Shelf) -> None:
    published.accept("open", 1)
    published.store.create(BatchPaths("half").input("stub"), b"")  # an intake writes into this folder at the moment
    published.pass_s(3600)
    published.accept("young", 1)
    published.write("young", [published.completed(0)])
    published.publish("young")
    assert [name for name, _ in find_old_batches(published.store, timedelta(hours=1), clock=published.clock)] == [
        "night-1"
    ]
    assert [name for name, _ in find_old_batches(published.store, timedelta(hours=2), clock=published.clock)] == []


def test_folders_of_publishers_that_did_not_decide_are_deleted(store: Any, shelf: Any) -> None:
    shelf = type(shelf)(store)
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    first = shelf.publish()
    reopen(store, "night-1", clock=shelf.clock)
    root = BatchPaths("night-1").root
    kept = [first.folder, "published/2-ofonewhomaystilldecide"]
    for folder in ("published/1-killed", "published/1-slow", kept[1]):
        store.create(f"{root}/{folder}/output.jsonl", b"")
    assert delete_leftovers(store, timedelta(0)) == 2
    assert sorted(store.list(f"{root}/published")) == sorted(folder.rpartition("/")[2] for folder in kept)
    assert verify(store, "night-1") == []


def test_leftovers_of_several_batches_are_looked_for_at_once(shelf: Any, meeting: Any) -> None:
    shelf.accept("night-1")
    shelf.accept("night-2")
    assert delete_leftovers(meeting(shelf.store), timedelta(0)) == 0


def test_old_hidden_files_of_killed_writers_are_deleted(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create("batches/a/input/stub.jsonl", b"")
    store.create("batches/a/segments/one", b"1")
    folder = tmp_path / "batches" / "a" / "segments"
    for name, days in (("two-days", 2), ("hours", 0.9), ("week", 7)):
        hidden = folder / f".new-{name}"
        hidden.write_bytes(b"half")
        then = time.time() - timedelta(days=days).total_seconds()
        os.utime(hidden, (then, then))
    assert delete_leftovers(store, timedelta(days=3)) == 1
    assert delete_leftovers(store, timedelta(0)) == 1
    assert sorted(os.listdir(folder)) == [".new-hours", "one"]  # noqa: PTH208 - hidden ones too


def test_a_writer_at_work_keeps_its_file(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    with store.writer("batches/a/input/stub.jsonl") as file:
        file.write(b"line")
        assert delete_leftovers(store, timedelta(0)) == 0
    assert store.read("batches/a/input/stub.jsonl") == b"line"


def test_a_foreign_file_beside_the_published_folders_stays(published: Shelf) -> None:
    path = f"{BatchPaths('night-1').root}/published/1-a note.txt"
    published.store.create(path, b"mine")
    assert delete_leftovers(published.store, timedelta(0)) == 0
    assert published.store.read(path) == b"mine"


def test_a_segment_that_was_written_after_its_batch_was_deleted_is_deleted(published: Shelf) -> None:
    delete_batch(published.store, "night-1", clock=published.clock)
    published.write("night-1", [published.completed(0)])
    published.write("intake", [published.refusal(0)], worker="intake")  # an intake at work, whose rows were all refused
    published.store.create(BatchPaths("half").input("stub"), b"")
    published.write("half", [published.completed(0)])
    assert delete_leftovers(published.store, timedelta(0)) == 1
    assert list_batches(published.store) == ["half", "intake"]
    assert published.store.list(BatchPaths("half").root) == ["input", "segments"]
