"""Shows jobs/batches/rounds.py: what the markers mean together, and which lines count."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from jobs.batches.batch import BatchPaths, Reopen
from jobs.batches.round import Round
from jobs.batches.rounds import (
    close,
    is_open,
    latest_done,
    list_batches,
    load_batch,
    pause,
    read_round,
    reopen,
    require_batch,
    to_bytes,
)
from jobs.batches.segments.head import HeadRow
from jobs.errors import ConflictError, RequestError, StoreDamaged, StoreTooNew, StoreUnavailable
from jobs.store.store import Store


@pytest.mark.parametrize(
    ("line", "number", "sent_back", "counts"),
    [
        pytest.param(HeadRow(0, "c", True, 1, 1), 1, {}, True, id="completed"),
        pytest.param(HeadRow(0, "c", True, 1, 1), 3, {}, True, id="completed late, in an earlier round"),
        pytest.param(HeadRow(0, "c", True, 4, 1), 3, {}, True, id="completed in a later round"),
        pytest.param(HeadRow(0, "c", True, 1, 1), 2, {0: 2}, False, id="completed before it was sent back"),
        pytest.param(HeadRow(0, "c", True, 2, 1), 2, {0: 2}, True, id="completed after it was sent back"),
        pytest.param(HeadRow(0, "c", True, 2, 1), 3, {0: 2}, True, id="sent back in an earlier round"),
        pytest.param(HeadRow(1, "c", True, 1, 1), 2, {0: 2}, True, id="another row was sent back"),
        pytest.param(HeadRow(0, "f", True, 2, 1), 2, {}, True, id="final failure of this round"),
        pytest.param(HeadRow(0, "f", True, 1, 1), 2, {}, False, id="final failure of an earlier round"),
        pytest.param(HeadRow(0, "f", True, 2, 1), 1, {}, False, id="final failure of a later round"),
        pytest.param(HeadRow(0, "f", True, 0, 0), 2, {}, True, id="refused: holds in every round"),
        pytest.param(HeadRow(0, "f", False, 1, 1), 1, {}, False, id="failure that will be retried"),
        pytest.param(HeadRow(0, "x", False, 1, 1), 1, {}, False, id="crashed"),
    ],
)
def test_which_line_counts(line: HeadRow, number: int, sent_back: dict[int, int], counts: bool) -> None:
    assert Round(number, None, None, None, None, sent_back).counts(line) == counts


@pytest.mark.parametrize(
    ("sent_back", "carries"),
    [
        pytest.param({}, True, id="not named"),
        pytest.param({0: 2}, True, id="named in an earlier round"),
        pytest.param({0: 3}, False, id="named in this round"),
    ],
)
def test_which_row_is_carried(sent_back: dict[int, int], carries: bool) -> None:
    assert Round(3, None, None, None, None, sent_back).carries(0) == carries


def test_a_folder_without_its_acceptance_is_not_a_batch(store: Store) -> None:
    store.create("batches/half/input/stub.jsonl", b"")
    assert list_batches(store) == ["half"]
    assert load_batch(store, "half") is None
    with pytest.raises(RequestError, match="no batch half"):
        close(store, "half", "cancelled")


def test_a_damaged_marker_is_refused(shelf: Any) -> None:
    shelf.accept()
    shelf.store.create(BatchPaths("night-1").closed(1), b"{}")
    with pytest.raises(StoreUnavailable, match=r"closed-1\.json is damaged"):
        latest_done(shelf.store, "night-1")


def test_the_first_reason_to_close_wins(shelf: Any) -> None:
    shelf.accept()
    first = close(shelf.store, "night-1", "cancelled", clock=shelf.clock)
    shelf.pass_s(1)
    assert close(shelf.store, "night-1", "expired", clock=shelf.clock) == first
    assert first.reason == "cancelled"
    assert first.at == shelf.now - timedelta(seconds=1)


def test_a_batch_is_open_until_it_is_published_and_again_when_reopened(shelf: Any) -> None:
    batch = shelf.accept(rows=2)
    paths = BatchPaths("night-1")
    assert is_open(shelf.store, "night-1")
    assert latest_done(shelf.store, "night-1") is None
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    first = shelf.publish()
    assert not is_open(shelf.store, "night-1")
    assert not shelf.store.exists(paths.open_hint)

    reopen(shelf.store, "night-1", [0], deadline=shelf.now, clock=shelf.clock)
    assert is_open(shelf.store, "night-1")
    assert shelf.store.exists(paths.open_hint)
    assert latest_done(shelf.store, "night-1") == first
    current = read_round(shelf.store, batch)
    assert (current.number, current.deadline, current.sent_back) == (2, shelf.now, {0: 2})
    assert (current.before, current.done, current.closed) == (first, None, None)

    closed = close(shelf.store, "night-1", "expired", clock=shelf.clock)
    assert closed.round == 2
    second = shelf.publish()
    assert latest_done(shelf.store, "night-1") == second
    assert second.round == 2


@pytest.mark.parametrize(
    ("rows", "publish", "message"),
    [
        pytest.param(None, False, "still open in round 1", id="still open"),
        pytest.param([4], True, "has no row 4: its rows are 0 to 3", id="row behind the end"),
        pytest.param([-1], True, "has no row -1: its rows are 0 to 3", id="row before the start"),
        pytest.param(None, True, "every row of batch night-1 has completed", id="nothing to do"),
    ],
)
def test_a_reopening_that_is_refused(shelf: Any, rows: list[int] | None, publish: bool, message: str) -> None:
    shelf.accept()
    shelf.write("night-1", [shelf.completed(row) for row in range(4)])
    if publish:
        shelf.publish()
    with pytest.raises(RequestError, match=message):
        reopen(shelf.store, "night-1", rows)


@pytest.mark.parametrize(
    ("closed", "paused", "done", "may_finish", "may_be_forgotten"),
    [
        pytest.param(None, False, False, False, False, id="open"),
        pytest.param("cancelled", False, False, False, False, id="cancelled"),
        pytest.param("expired", True, False, False, False, id="expired while it was paused"),
        pytest.param("postponed", False, False, True, False, id="at the soft deadline"),
        pytest.param(None, True, False, True, True, id="paused"),
        pytest.param("postponed", False, True, False, True, id="published at the soft deadline"),
        pytest.param(None, False, True, False, True, id="published"),
    ],
)
def test_when_jobs_may_finish_and_the_queue_may_forget_the_round(
    shelf: Any, closed: Any, paused: bool, done: bool, may_finish: bool, may_be_forgotten: bool
) -> None:
    batch = shelf.accept(rows=1)
    if paused:
        pause(shelf.store, batch, "nothing but failures")
    if closed:
        close(shelf.store, "night-1", closed)
    if done:
        shelf.write("night-1", [shelf.completed(0)])
        shelf.publish()
    current = read_round(shelf.store, batch)
    assert (current.may_finish, current.may_be_forgotten) == (may_finish, may_be_forgotten)


def test_a_close_during_publishing_and_reopening_closes_the_new_round(shelf: Any) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.failed(0)])
    moments: list[int] = []

    # other processes publish and reopen the batch after our process has read the markers and before it creates its own
    def clock() -> Any:
        moments.append(1)
        if len(moments) == 1:
            shelf.publish()
            reopen(shelf.store, "night-1")
        return shelf.now

    assert close(shelf.store, "night-1", "cancelled", clock=clock).round == 2
    current = read_round(shelf.store, require_batch(shelf.store, "night-1"))
    assert (current.number, current.closed is None) == (2, False)


def test_only_one_of_two_processes_reopens_a_batch(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.failed(0)])
    shelf.publish()

    # another process creates this marker first, after our process has read the markers and before it creates its own
    def clock() -> Any:
        other = Reopen(round=2, rows=(0,), at=shelf.now)
        shelf.store.create(BatchPaths("night-1").reopen(2), to_bytes(other))
        return shelf.now

    with pytest.raises(ConflictError, match="by another process"):
        reopen(shelf.store, "night-1", clock=clock)


def test_a_batch_between_the_rounds_of_its_soft_deadline_cannot_be_reopened(shelf: Any) -> None:
    batch = shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    shelf.publish_half()
    with pytest.raises(RequestError, match="still open in round 2"):
        reopen(shelf.store, "night-1", clock=shelf.clock)
    current = read_round(shelf.store, batch)
    assert (current.number, current.continues) == (2, True)


@pytest.mark.parametrize("name", ["batch", "closed-1", "done-1", "paused-2", "reopen-2"])
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param({"format": 99}, StoreTooNew, "newer release, in format 99", id="newer"),
        pytest.param(
            {"format": 2, "round": "two"}, StoreTooNew, "newer release, in format 2", id="newer and unlike ours"
        ),
        pytest.param({"format": None}, StoreDamaged, "is damaged", id="no format"),
    ],
)
def test_a_record_of_a_newer_release_is_refused_and_not_read(
    shelf: Any, name: str, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    batch = shelf.accept(rows=1)
    close(shelf.store, "night-1", "cancelled", clock=shelf.clock)
    shelf.publish()
    if name.endswith("-2"):
        reopen(shelf.store, "night-1", clock=shelf.clock)
        pause(shelf.store, batch, "why", clock=shelf.clock)
    path = f"{BatchPaths('night-1').root}/{name}.json"
    values = orjson.loads(shelf.store.read(path))
    assert values["format"] == 1
    shelf.store.delete(path)
    shelf.store.create(path, orjson.dumps({**values, **change}))
    with pytest.raises(error, match=f"{name}.json {words}" if error is StoreDamaged else f"{name}.json was .*{words}"):
        read_round(shelf.store, require_batch(shelf.store, "night-1"))
