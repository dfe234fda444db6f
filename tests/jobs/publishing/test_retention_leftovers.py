"""Shows jobs/publishing/retention.py: what nobody will read goes, and what an open batch may need stays."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.batches.batch import BatchPaths
from jobs.batches.published import verify
from jobs.batches.rounds import reopen
from jobs.publishing.retention import delete_leftovers
from jobs.store.local import LocalStore

PATHS = BatchPaths("night-1")


def test_folders_of_publishers_that_did_not_decide_go(store: Any, shelf: Any) -> None:
    shelf = type(shelf)(store)
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    first = shelf.publish()
    reopen(store, "night-1", clock=shelf.clock)
    kept = [first.folder, "published/2-of-one-who-may-still-decide"]
    for folder in ("published/1-killed", "published/1-slow", kept[1]):
        store.create(f"{PATHS.root}/{folder}/output.jsonl", b"")
    assert delete_leftovers(store, timedelta(0)) == 2
    assert sorted(store.list(f"{PATHS.root}/published")) == sorted(folder.rpartition("/")[2] for folder in kept)
    assert verify(store, "night-1") == []


def test_several_batches_are_looked_at_at_once(shelf: Any, meeting: Any) -> None:
    shelf.accept("night-1")
    shelf.accept("night-2")
    assert delete_leftovers(meeting(shelf.store), timedelta(0)) == 0


def test_hidden_files_of_killed_writers_go_when_they_are_old(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
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
