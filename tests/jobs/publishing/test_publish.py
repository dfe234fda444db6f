"""Shows jobs/publishing/publish.py: a round is published once, with one outcome for each row, whoever else publishes."""

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import close, reopen
from jobs.batches.segments.line import Outcome
from jobs.errors import RequestError
from jobs.prices import Prices
from jobs.publishing import publish as publishing
from jobs.publishing.publish import Incomplete, publish
from jobs.publishing.winners import Winners
from jobs.store.opening import open_store
from jobs.store.store import Store

PATHS = BatchPaths("night-1")


def test_nothing_is_published_before_every_row_has_an_outcome(stored: Any) -> None:
    stored.accept(rows=20)
    stored.write("night-1", [stored.completed(row) for row in (1, 3)] + [stored.failed(0, final=False)])
    assert publish(stored.store, "night-1", prices=Prices()) == Incomplete(18, (0, 2, 4, 5, 6, 7, 8, 9, 10, 11))
    assert verify(stored.store, "night-1") == ["no round is published"]
    with pytest.raises(RequestError, match="no batch other"):
        publish(stored.store, "other", prices=Prices())


def test_a_round_is_published_once_and_whole(stored: Any) -> None:
    stored.accept(rows=6, refused=[4])
    stored.store.create(PATHS.open_hint, b"")
    stored.write("night-1", [stored.completed(5), stored.failed(2)], worker="b")
    stored.write("night-1", [stored.completed(1), stored.completed(0), stored.completed(3)], worker="a")
    done = stored.publish()
    assert [row["row"] for row in stored.rows(done)] == [0, 1, 3, 5]
    assert [row["row"] for row in stored.rows(done, "errors.jsonl")] == [2, 4]
    assert done.counts == {"completed": 4, "failed": 2, "cancelled": 0, "expired": 0}
    assert verify(stored.store, "night-1") == []
    assert not stored.store.exists(PATHS.open_hint)
    for name, record in done.files.items():
        data = stored.store.read(f"{PATHS.root}/{done.folder}/{name}")
        assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert record.rows == data.count(b"\n")
    names = "\n".join(stored.store.list(PATHS.segments))
    assert done.segments_sha256 == hashlib.sha256(names.encode()).hexdigest()

    stored.write("night-1", [stored.completed(2)])  # this line comes too late, so it changes nothing
    assert stored.publish() == done
    assert len(stored.store.list(f"{PATHS.root}/published")) == 1


def test_one_of_several_publishers_decides_and_the_others_delete_their_editions(stored: Any) -> None:
    stored.accept(rows=10)
    stored.write("night-1", [stored.completed(row) for row in range(10)])
    publishers = 4
    barrier = threading.Barrier(publishers)

    def clock() -> Any:  # called when a publisher has written its files and is about to decide
        barrier.wait()
        return stored.now

    with ThreadPoolExecutor(publishers) as pool:
        futures = [
            pool.submit(publish, stored.store, "night-1", prices=Prices(), clock=clock) for _ in range(publishers)
        ]
        results = [future.result() for future in futures]
    assert all(result == results[0] for result in results)
    assert isinstance(results[0], Done)
    assert stored.store.list(f"{PATHS.root}/published") == [results[0].folder.removeprefix("published/")]
    assert verify(stored.store, "night-1") == []


def test_a_segment_that_comes_after_the_listing_changes_nothing(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.accept(rows=1)
    stored.write("night-1", [stored.failed(0)])

    def late(*values: Any) -> Any:
        stored.write("night-1", [stored.completed(0)])
        return Winners(*values)

    monkeypatch.setattr(publishing, "Winners", late)
    assert stored.statuses(stored.publish()) == {0: "empty_output"}


def test_publishers_that_saw_different_segments_do_not_mix_their_files(stored: Any) -> None:
    """When one publisher is about to decide, a winning line arrives, and another publisher publishes with this line."""
    stored.accept(rows=1)
    stored.write("night-1", [stored.failed(0)])
    others: list[Done] = []

    def clock() -> Any:  # called when a publisher has written its files and is about to decide
        if not others:
            others.append(None)  # type: ignore[arg-type]
            stored.write("night-1", [stored.completed(0)])
            others[0] = stored.publish()
        return stored.now

    done = publish(stored.store, "night-1", prices=Prices(), clock=clock)
    assert done == others[0]
    assert verify(stored.store, "night-1") == []
    assert stored.statuses(others[0]) == {0: "completed"}


def test_a_row_that_completes_while_the_batch_is_closed_is_not_cancelled(stored: Any) -> None:
    """The row's segment appears, and then the marker that closes the batch, right after the publisher has listed the segments."""
    stored.accept(rows=1)
    whole = stored.store
    result = publish(cast("Store", Listing(whole, lambda: finish_and_close(stored, whole))), "night-1", prices=Prices())
    assert result == Incomplete(1, (0,)), "it read the markers before that, and saw none"
    assert stored.statuses(stored.publish()) == {0: "completed"}


def finish_and_close(shelf: Any, store: Store) -> None:
    shelf.write("night-1", [shelf.completed(0)])
    close(store, "night-1", "cancelled")


class Listing:
    """A store in which something happens after the first look at the segments."""

    def __init__(self, inner: Store, happens: Callable[[], None]) -> None:
        self._inner, self._happens = inner, [happens]

    def list(self, folder: str) -> list[str]:
        names = self._inner.list(folder)
        if folder == PATHS.segments and self._happens:
            self._happens.pop()()
        return names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


lines = st.builds(
    lambda row, round_, fence, status, final: (row, round_, fence, status, final or status == "completed"),
    st.integers(0, 4),
    st.integers(1, 2),
    st.integers(0, 3),
    st.sampled_from(["completed", "failed"]),
    st.booleans(),
)
segments = st.lists(st.lists(lines, max_size=4), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=segments, second=segments, sent_back=st.sets(st.integers(0, 4)), buckets=st.sampled_from([1, 1 << 20]))
def test_two_rounds_of_any_lines_publish_every_row_once(
    shelf: Any, monkeypatch: Any, tmp_path_factory: Any, first: Any, second: Any, sent_back: set[int], buckets: int
) -> None:
    """With any lines in the segments, each row is published once, the sums are exact, and carried rows are unchanged."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # 60 examples would wait long for the disk
    shelf = type(shelf)(open_store(str(tmp_path_factory.mktemp("store"))))
    shelf.accept(rows=5)

    def outcome(n: int, row: int, round_: int, fence: int, status: Any, final: bool) -> Outcome:
        made: Outcome = (
            shelf.completed(row, round_=round_, output={"text": f"round {round_}, segment {n}"})
            if status == "completed"
            else shelf.failed(row)
        )
        return replace(made, round=round_, fence=fence, final=final, claim_id=str(n))

    def play(written: Any, round_: int) -> Done:
        for n, segment in enumerate(written):
            shelf.write("night-1", [outcome(n, *line) for line in segment if line[1] <= round_])
        close(shelf.store, "night-1", "expired")
        done = publish(shelf.store, "night-1", prices=Prices(), clock=shelf.clock, bucket_bytes=buckets)
        assert isinstance(done, Done)
        assert verify(shelf.store, "night-1") == []
        return done

    before = {row["row"]: row for row in shelf.rows(play(first, 1))}
    if len(before) < 5 or sent_back:
        reopen(shelf.store, "night-1", sorted(sent_back) or None)
        after = {row["row"]: row for row in shelf.rows(play(second, 2))}
        assert all(after[row] == values for row, values in before.items() if row not in sent_back)
        assert not any(after.get(row) == before[row] for row in sent_back & set(before))
    usage = read_usage(shelf.store, publish(shelf.store, "night-1", prices=Prices()), "night-1")  # type: ignore[arg-type]
    spent = shelf.completed(0).usage.completion_tokens * sum(
        line[3] == "completed" and line[1] <= round_
        for round_, written in ((1, first), (2, second if usage["round"] == 2 else []))
        for segment in written
        for line in segment
    )
    assert usage["completion_tokens"] + usage["wasted"]["completion_tokens"] == spent
