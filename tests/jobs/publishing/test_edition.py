"""Shows jobs/publishing/edition.py: which rows are published, in which file, and in which form."""

from dataclasses import replace
from typing import Any

import pytest

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import close, reopen
from jobs.errors import StoreUnavailable
from jobs.prices import Prices
from jobs.publishing.publish import Incomplete, publish
from jobs.usage import Usage, total

PATHS = BatchPaths("night-1")


def test_an_output_row_and_an_error_row(stored: Any) -> None:
    stored.accept(rows=2)
    completed = replace(stored.completed(0), metadata={"page": 7}, attempt=2)
    completed = replace(completed, receipt={**completed.receipt, "templates": {"main": "abc"}, "row": "not a field"})
    failed = replace(stored.failed(1), usage=Usage(5, 0, 1, 9, 8, 7), receipt={"worker": "w", "prices": "p"})
    stored.write("night-1", [completed, failed])
    done = stored.publish()
    assert stored.rows(done) == [
        {
            "batch_id": "night-1",
            "row": 0,
            "custom_id": "c0",
            "tenant": "default",
            "kind": "chat",
            "status": "completed",
            "output": {"text": "Text 0"},
            "usage": {**completed.usage.as_dict(), "prices": "example-2026-11"},
            "model": "stub",
            "model_revision": None,
            "adapter": None,
            "engine": "stub",
            "finish_reason": "stop",
            "seed": 7,
            "attempt": 2,
            "worker": "w",
            "started_at": completed.receipt["started_at"],
            "finished_at": completed.receipt["finished_at"],
            "metadata": {"page": 7},
            "templates": {"main": "abc"},
        }
    ]
    assert stored.rows(done, "errors.jsonl") == [
        {
            "batch_id": "night-1",
            "row": 1,
            "custom_id": "c1",
            "tenant": "",
            "kind": "chat",
            "status": "failed",
            "error": {"code": "empty_output", "message": "the model wrote nothing", "line": 2},
            "usage": {**failed.usage.as_dict(), "prices": "p"},
            "model": "stub",
            "attempt": 1,
            "worker": "w",
        }
    ]


@pytest.mark.parametrize("reason", ["cancelled", "expired"])
def test_rows_without_an_outcome_end_with_the_batch(stored: Any, reason: Any) -> None:
    stored.accept(rows=5, refused=[3], kinds=("chat", "article"))
    stored.write("night-1", [stored.completed(1), stored.failed(2), stored.failed(4, final=False)])
    close(stored.store, "night-1", reason)
    done = stored.publish()
    assert stored.statuses(done) == {0: reason, 1: "completed", 2: "empty_output", 3: "not_json", 4: reason}
    error = stored.rows(done, "errors.jsonl")[-1]
    assert (error["status"], error["custom_id"], error["kind"], error["model"]) == (reason, "c4", "chat", "stub")
    assert error["error"]["line"] == 5
    assert done.counts[reason] == 2
    assert verify(stored.store, "night-1") == []


def test_a_row_whose_request_is_damaged_still_gets_its_outcome(stored: Any) -> None:
    batch = stored.accept(rows=1)
    stored.store.delete(PATHS.input("stub"))
    stored.store.create(PATHS.input("stub"), b"rubbish\n")
    close(stored.store, batch.batch_id, "cancelled")
    done = stored.publish()
    assert stored.statuses(done) == {0: "cancelled"}
    assert verify(stored.store, "night-1") == []


def test_a_round_carries_completed_rows_and_bills_the_difference(stored: Any) -> None:
    stored.accept(rows=4)
    stored.write("night-1", [stored.completed(0), stored.completed(1), stored.failed(2), stored.failed(3)])
    first = stored.publish()
    before = {row["row"]: row for row in stored.rows(first)}
    stored.write("night-1", [replace(stored.completed(0), fence=0, output={"text": "late and cheaper"})])
    stored.write("night-1", [replace(stored.completed(2), output={"text": "late"})])
    reopen(stored.store, "night-1", [1])
    assert publish(stored.store, "night-1", prices=Prices()) == Incomplete(2, (1, 3))
    anew = replace(stored.completed(1, round_=2), output={"text": "anew"}, usage=Usage(1, 1, 1, 1, 1, 1))
    stored.write("night-1", [anew, stored.failed(3, round_=2)])
    second = stored.publish()
    after = {row["row"]: row for row in stored.rows(second)}
    assert after[0] == before[0]
    assert after[1]["output"] == {"text": "anew"}
    assert after[2]["output"] == {"text": "late"}
    assert stored.statuses(second)[3] == "empty_output"
    usage = read_usage(stored.store, second, "night-1")
    old = read_usage(stored.store, first, "night-1")
    assert Usage.from_dict(usage) == total([stored.completed(0).usage, anew.usage, stored.completed(2).usage])
    assert Usage.from_dict(usage["new"]) == Usage.from_dict(usage) - Usage.from_dict(old)
    assert usage["new"]["rows"] == usage["rows"] - old["rows"] == 1
    assert Usage.from_dict(usage["wasted"]) == stored.completed(0).usage + stored.completed(1).usage
    assert verify(stored.store, "night-1") == []


def test_a_row_that_was_sent_back_and_fails_is_not_published_with_its_old_text(stored: Any) -> None:
    stored.accept(rows=2)
    stored.write("night-1", [stored.completed(0), stored.completed(1)])
    stored.publish()
    reopen(stored.store, "night-1", [1])
    stored.write("night-1", [stored.failed(1, round_=2)])
    assert stored.statuses(stored.publish()) == {0: "completed", 1: "empty_output"}
    reopen(stored.store, "night-1")
    assert publish(stored.store, "night-1", prices=Prices()) == Incomplete(1, (1,))
    close(stored.store, "night-1", "cancelled")
    assert stored.statuses(stored.publish()) == {0: "completed", 1: "cancelled"}
    assert verify(stored.store, "night-1") == []


def test_a_damaged_round_is_not_carried(stored: Any) -> None:
    stored.accept(rows=2)
    stored.write("night-1", [stored.failed(0), stored.completed(1)])
    done = stored.publish()
    path = f"{PATHS.root}/{done.folder}/output.jsonl"
    data = stored.store.read(path)
    stored.store.delete(path)
    stored.store.create(path, data.replace(b"Text", b"text"))
    assert verify(stored.store, "night-1") != []
    reopen(stored.store, "night-1")
    stored.write("night-1", [stored.completed(0, round_=2)])
    with pytest.raises(StoreUnavailable, match="damaged"):
        stored.publish()
    assert not stored.store.exists(PATHS.done(2))


@pytest.mark.parametrize("bucket_bytes", [1, 400, 1 << 20], ids=["a row at a time", "a few rows", "all in memory"])
def test_spilling_changes_nothing(shelf: Any, bucket_bytes: int) -> None:
    shelf.accept(rows=50, refused=[7])
    for start in range(5):
        shelf.write("night-1", [shelf.completed(row) for row in range(start, 50, 5) if row not in (7, 8)])
    close(shelf.store, "night-1", "cancelled")
    done = publish(shelf.store, "night-1", prices=Prices(), clock=shelf.clock, bucket_bytes=bucket_bytes)
    assert isinstance(done, Done)
    assert [row["row"] for row in shelf.rows(done)] == [row for row in range(50) if row not in (7, 8)]
    assert [row["row"] for row in shelf.rows(done, "errors.jsonl")] == [7, 8]
    assert verify(shelf.store, "night-1") == []
