"""Shows jobs/batches/outcome_index.py: what storage knows of an open batch, incrementally and over rounds."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import close, reopen
from jobs.batches.segments import files as segment_files
from jobs.batches.segments.compaction import compact
from jobs.batches.segments.head import SegmentHead, read_heads
from jobs.batches.segments.line import Outcome
from jobs.store.store import Store


def crashed(row: int, *, solo: bool | None = None) -> Outcome:
    return Outcome(row, 1, 1, "claim", "crashed", False, "", solo=solo)


def state(index: OutcomeIndex) -> list[bool]:
    return [index.has_outcome(row) for row in range(index.batch.rows)]


def test_only_new_segments_are_read(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept())
    read: list[str] = []

    def counted(store: Store, path: str) -> Sequence[SegmentHead]:
        read.append(path)
        return read_heads(store, path)

    monkeypatch.setattr(segment_files, "read_heads", counted)
    assert index.refresh() == 0
    assert (index.round, index.missing, index.complete) == (1, 4, False)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.write("night-1", [shelf.completed(2)])
    assert index.refresh() == 2
    assert index.refresh() == 0
    assert len(read) == 2
    assert state(index) == [True, True, True, False]
    assert list(index.missing_rows()) == [3]
    assert index.counts == {"completed": 2, "failed": 1}
    shelf.write("night-1", [shelf.completed(3)])
    assert index.refresh() == 1
    assert index.complete


def test_a_completed_line_after_a_final_failure_is_counted_once(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=1))
    for outcome in (shelf.failed(0), shelf.completed(0), shelf.completed(0), shelf.failed(0)):
        shelf.write("night-1", [outcome])
        index.refresh()
    assert index.counts == {"completed": 1, "failed": 0}


def test_the_expected_work_of_each_row_with_an_outcome_is_counted_once(shelf: Any) -> None:
    """Row 1 fails and runs again in round 2, so its work is not counted as done there."""
    index = OutcomeIndex(shelf.store, shelf.accept(rows=3, refused=[2]))
    failed = [replace(shelf.failed(1, final=final), cost=300) for final in (False, True)]
    shelf.write("night-1", [shelf.completed(0, cost=10), shelf.completed(0, cost=10), *failed])
    index.refresh()
    assert index.cost == 310
    shelf.publish()
    reopen(shelf.store, "night-1")
    index.refresh()
    assert (index.cost, OutcomeIndex(shelf.store, index.batch).cost) == (10, 0)
    shelf.write("night-1", [shelf.completed(1, cost=300, round_=2)])
    index.refresh()
    assert index.cost == 310


def test_failures_are_counted_by_code_before_and_after_publishing(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=6, refused=[1, 4]))
    shelf.write("night-1", [shelf.failed(0), shelf.failed(2, final=False), shelf.failed(3)])
    index.refresh()
    assert dict(index.codes) == {"empty_output": 2, "not_json": 2}
    assert index.counts == {"completed": 0, "failed": 4}
    shelf.write("night-1", [shelf.completed(3), shelf.completed(2), shelf.completed(5)])
    index.refresh()
    assert list(index.codes.items()) == [("not_json", 2), ("empty_output", 1)]
    assert shelf.publish().codes == index.codes


def test_any_number_of_codes_takes_a_byte_for_each_row(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=400))
    coded = [replace(shelf.failed(row), error={"code": f"code-{row:03}", "message": ""}) for row in range(400)]
    shelf.write("night-1", coded)
    index.refresh()
    assert index.counts == {"completed": 0, "failed": 400}
    assert list(index.codes.items())[:2] == [("other", 149), ("code-000", 1)]
    assert sum(index.codes.values()) == 400


def test_attempts_and_crashes_are_counted_until_the_row_ends(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept())
    shelf.write("night-1", [shelf.failed(0, final=False), crashed(0), crashed(1), shelf.failed(2, final=False)])
    shelf.write("night-1", [crashed(0, solo=True)])
    shelf.write("night-1", [shelf.completed(2)])
    shelf.write("night-1", [crashed(2)])
    index.refresh()
    assert [index.past_attempts(row) for row in range(4)] == [(1, 2, 1), (0, 1, 0), (0, 0, 0), (0, 0, 0)]
    assert state(index) == [False, False, True, False]


def test_usage_and_waste_add_up_the_heads(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept())
    completed = shelf.completed(0)
    retried = replace(shelf.completed(1), status="failed", final=False, wasted=completed.usage)
    shelf.write("night-1", [completed, retried])
    index.refresh()
    assert index.usage == completed.usage
    assert index.wasted == retried.usage + completed.usage


def test_refused_rows_have_an_outcome_in_every_round(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=3, refused=[1]))
    index.refresh()
    assert state(index) == [False, True, False]
    shelf.write("night-1", [shelf.completed(0), shelf.failed(2)])
    shelf.publish()
    reopen(shelf.store, "night-1")
    index.refresh()
    assert (index.round, state(index)) == (2, [True, True, False])


def test_a_closed_batch_is_complete(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept())
    closed = close(shelf.store, "night-1", "expired")
    index.refresh()
    assert (index.closed, index.complete, index.missing) == (closed, True, 4)
    done = shelf.publish()
    index.refresh()
    assert index.done == done
    assert index.counts == {"completed": 0, "failed": 0, "cancelled": 0, "expired": 4}


def test_a_new_round_forgets_failures_and_rows_that_were_sent_back(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept())
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1), shelf.failed(2), shelf.failed(3), crashed(3)])
    shelf.publish()
    index.refresh()
    assert index.complete
    reopen(shelf.store, "night-1", [1])
    index.refresh()
    assert state(index) == [True, False, False, False]
    assert index.past_attempts(3) == (0, 0, 0)
    shelf.write("night-1", [shelf.completed(2)])  # a late line of round 1: it counts
    shelf.write("night-1", [shelf.completed(1)])  # also a line of round 1, but row 1 was sent back: it does not count
    shelf.write("night-1", [shelf.failed(3)])
    index.refresh()
    assert state(index) == [True, False, True, False]
    shelf.write("night-1", [shelf.completed(1, round_=2), shelf.failed(3, round_=2)])
    index.refresh()
    assert index.complete


def test_a_line_of_a_round_not_yet_seen_counts_once_the_round_is(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=1))
    shelf.write("night-1", [shelf.failed(0, round_=2)])
    index.refresh()
    assert state(index) == [False]
    shelf.write("night-1", [shelf.failed(0)])
    shelf.publish()
    reopen(shelf.store, "night-1")
    index.refresh()
    assert state(index) == [True]


def test_an_index_is_stale_once_its_batch_was_deleted_and_not_when_it_is_compacted(shelf: Any) -> None:
    batch = shelf.accept(rows=3)
    index = OutcomeIndex(shelf.store, batch)
    for row in range(2):
        shelf.write("night-1", [shelf.completed(row)])
        index.refresh()
    assert compact(shelf.store, OutcomeIndex(shelf.store, batch)) == 2
    for _ in range(2):
        index.refresh()
        assert (index.is_stale, state(index)) == (False, [True, True, False])
    shelf.store.delete(index.paths.root)
    shelf.accept(rows=3)
    for _ in range(2):
        index.refresh()
        assert index.is_stale


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "w-1-1.jsonl",
        "w-1-000001-abc.jsonl (conflicted copy)",
        "copy of w-1-1-0000.jsonl",
        "w-1-x-" + "0" * 64 + ".jsonl",
        "w-1-1-" + "0" * 64 + ".jsonl.gz",
        "w-1-1-" + "0" * 64 + ".jsonl~",
    ],
)
@pytest.mark.parametrize("folder", ["segments", "compacted"])
def test_a_foreign_file_is_passed_over_and_named_once(shelf: Any, folder: str, name: str) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=2))
    shelf.write("night-1", [shelf.completed(0)])
    shelf.write("night-1", [shelf.completed(1)])
    path = f"{index.paths.root}/{folder}/{name}"
    shelf.store.create(path, b"something else")
    with capture_logs() as logs:
        assert (index.refresh(), index.refresh()) == (2, 0)
        assert compact(shelf.store, index) == 2
    assert [(log["event"], log["path"]) for log in logs if log["event"] == "store.foreign_file"] == [
        ("store.foreign_file", path)
    ]
    assert shelf.publish().counts["completed"] == 2
    assert shelf.store.read(path) == b"something else"


def test_verdicts_are_counted_before_and_after_publishing(shelf: Any) -> None:
    """The first completed line of a row decides its verdict, as it decides its status."""
    index = OutcomeIndex(shelf.store, shelf.accept(rows=6, refused=[5]))
    assert index.verdicts == {}
    fit, review, unjudged = (
        shelf.completed(row, verdict=verdict) for row, verdict in enumerate(("fit", "review", None))
    )
    shelf.write("night-1", [fit, shelf.failed(1), unjudged, shelf.failed(3)])
    index.refresh()
    assert (index.verdicts, index.counts) == ({"fit": 1}, {"completed": 2, "failed": 3})
    shelf.write("night-1", [review, replace(fit, verdict="review", fence=2), shelf.failed(0), shelf.failed(1)])
    index.refresh()
    assert (index.verdicts, index.counts) == ({"fit": 1, "review": 1}, {"completed": 3, "failed": 2})
    shelf.write("night-1", [shelf.completed(4, verdict="review"), shelf.completed(3, verdict="review")])
    index.refresh()
    open_verdicts, done = index.verdicts, shelf.publish()
    index.refresh()
    assert open_verdicts == done.verdicts == index.verdicts == {"fit": 1, "review": 3}
    assert (index.counts["completed"], index.counts["failed"]) == (5, 1)


def test_in_a_further_round_carried_rows_have_a_verdict_once_it_is_published(shelf: Any) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept(rows=3))
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.failed(1), shelf.completed(2, verdict="review")])
    assert shelf.publish().verdicts == {"fit": 1, "review": 1}
    reopen(shelf.store, "night-1")
    index.refresh()
    again = OutcomeIndex(shelf.store, index.batch)
    again.refresh()
    assert (index.verdicts, again.verdicts, again.counts["completed"]) == ({}, {}, 2)
    shelf.write("night-1", [shelf.completed(1, verdict="fit", round_=2)])
    index.refresh()
    assert (index.verdicts, index.missing) == ({"fit": 1}, 0)
    assert shelf.publish().verdicts == {"fit": 2, "review": 1}


@pytest.mark.parametrize("rows", [1, 7, 64, 301])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_of_the_last_missing_rows_is_found_from_any_end(shelf: Any, rows: int, seed: int) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept().model_copy(update={"rows": rows}))
    chance = random.Random(seed)
    for share in (0.0, 0.01, 0.5, 1.0):
        index._states = bytearray(int(chance.random() < share) for _ in range(rows))
        missing = [row for row in range(rows) if not index._states[row]]
        for count in (1, 2, 3, rows // 2 + 1, rows, 4 * rows):
            should = missing[-count] if count <= len(missing) else 0
            assert index.first_of_last_missing(count) == should, (share, count)
