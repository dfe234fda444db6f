"""Shows jobs/publishing/publish.py: one outcome for each row, in order, whoever publishes, over rounds, ends and ties."""

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
from jobs.batches.published import read_published, read_usage, verify
from jobs.batches.rounds import close, reopen
from jobs.batches.segments.line import Outcome
from jobs.errors import RequestError, StoreUnavailable
from jobs.prices import Prices
from jobs.publishing import publish as publishing
from jobs.publishing.publish import Incomplete, publish
from jobs.publishing.winners import Winners
from jobs.store.opening import open_store
from jobs.store.store import Store
from jobs.usage import Usage, total

PATHS = BatchPaths("night-1")


@pytest.fixture
def stored(shelf: Any, store: Store) -> Any:
    """A shelf over each kind of store; `shelf` itself stands on a local one."""
    return type(shelf)(store)


def rows_of(shelf: Any, done: Done, name: str = "output.jsonl") -> list[dict[str, Any]]:
    return list(read_published(shelf.store, done, "night-1", name))


def statuses(shelf: Any, done: Done) -> dict[int, str]:
    rows = rows_of(shelf, done) + rows_of(shelf, done, "errors.jsonl")
    return {row["row"]: row["error"]["code"] if "error" in row else row["status"] for row in rows}


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
    assert [row["row"] for row in rows_of(stored, done)] == [0, 1, 3, 5]
    assert [row["row"] for row in rows_of(stored, done, "errors.jsonl")] == [2, 4]
    assert done.counts == {"completed": 4, "failed": 2, "cancelled": 0, "expired": 0}
    assert verify(stored.store, "night-1") == []
    assert not stored.store.exists(PATHS.open_hint)
    for name, record in done.files.items():
        data = stored.store.read(f"{PATHS.root}/{done.folder}/{name}")
        assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert record.rows == data.count(b"\n")
    names = "\n".join(stored.store.list(PATHS.segments))
    assert done.segments_sha256 == hashlib.sha256(names.encode()).hexdigest()

    stored.write("night-1", [stored.completed(2)])  # late: changes nothing
    assert stored.publish() == done
    assert len(stored.store.list(f"{PATHS.root}/published")) == 1


def test_an_output_row_and_an_error_row(stored: Any) -> None:
    stored.accept(rows=2)
    completed = replace(stored.completed(0), metadata={"page": 7}, attempt=2)
    completed = replace(completed, receipt={**completed.receipt, "templates": {"main": "abc"}, "row": "not a field"})
    failed = replace(stored.failed(1), usage=Usage(5, 0, 1, 9, 8, 7), receipt={"worker": "w", "prices": "p"})
    stored.write("night-1", [completed, failed])
    done = stored.publish()
    assert rows_of(stored, done) == [
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
    assert rows_of(stored, done, "errors.jsonl") == [
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
    assert statuses(stored, done) == {0: reason, 1: "completed", 2: "empty_output", 3: "not_json", 4: reason}
    error = rows_of(stored, done, "errors.jsonl")[-1]
    assert (error["status"], error["custom_id"], error["kind"], error["model"]) == (reason, "c4", "chat", "stub")
    assert error["error"]["line"] == 5
    assert done.counts[reason] == 2
    assert verify(stored.store, "night-1") == []


def test_a_request_that_cannot_be_read_back_still_gets_its_outcome(stored: Any) -> None:
    batch = stored.accept(rows=1)
    stored.store.delete(PATHS.input("stub"))
    stored.store.create(PATHS.input("stub"), b"rubbish\n")
    close(stored.store, batch.batch_id, "cancelled")
    done = stored.publish()
    assert statuses(stored, done) == {0: "cancelled"}
    assert verify(stored.store, "night-1") == []


def test_usage_is_the_exact_sum_and_waste_is_all_else(stored: Any) -> None:
    stored.accept(rows=4)
    big = Usage(2**40, 3, 5, 2**45 + 1, 2**44 + 3, 10**15 + 7)
    first = replace(stored.completed(0), usage=big, wasted=Usage(1, 0, 2, 3, 4, 5))
    lost = replace(stored.completed(0), fence=2)
    other = replace(stored.completed(1), model="other")
    retried = replace(stored.failed(2, final=False), usage=Usage(7, 0, 1, 1, 1, 1))
    failed = replace(stored.failed(2), usage=Usage(9, 0, 1, 1, 1, 1))
    stored.write("night-1", [first, other])
    stored.write("night-1", [lost, retried, failed, stored.failed(3)])
    usage = read_usage(stored.store, stored.publish(), "night-1")
    assert {"batch_id": "night-1", "tenant": "default", "round": 1, "currency": "USD"}.items() <= usage.items()
    assert (usage["rows"], usage["prices"]) == (2, Prices().version)
    assert Usage.from_dict(usage) == big + other.usage
    wasted = total([first.wasted, lost.usage, retried.usage, failed.usage])
    assert usage["wasted"] == {"rows": 2, **wasted.as_dict()}
    assert Usage.from_dict(usage["models"]["other"]) == other.usage
    assert usage["models"]["stub"] == {"rows": 1, **big.as_dict(), "wasted": usage["wasted"]}
    assert usage["new"] == {"rows": 2, **(big + other.usage).as_dict(), "wasted": usage["wasted"]}
    assert verify(stored.store, "night-1") == []


def test_the_currency_is_that_of_the_rows_and_not_of_who_publishes(stored: Any) -> None:
    """Rows of an earlier release do not say it: they are in that of the others."""
    stored.accept(rows=3)
    stored.write("night-1", [stored.priced(0, "EUR"), stored.failed(1)])
    stored.write("night-1", [stored.completed(2)])
    done = stored.publish()
    usage = read_usage(stored.store, done, "night-1")
    assert (Prices().currency, usage["currency"]) == ("USD", "EUR")
    assert usage["charge"] == stored.completed(0).usage.charge + stored.completed(2).usage.charge
    assert "other_currencies" not in usage
    assert [row["usage"].get("currency") for row in rows_of(stored, done)] == ["EUR", None]


def test_amounts_of_two_currencies_are_never_added_up(stored: Any) -> None:
    """Tokens are. What was first the currency of the batch stays it, whatever most rows of a later round are in."""
    stored.accept(rows=4)
    lost = replace(stored.priced(0, "USD"), fence=2)
    stored.write("night-1", [stored.priced(0, "EUR"), stored.failed(1), stored.failed(2), stored.failed(3)])
    stored.write("night-1", [lost])
    first = read_usage(stored.store, stored.publish(), "night-1")
    reopen(stored.store, "night-1")
    stored.write("night-1", [stored.priced(row, "USD", round_=2) for row in (1, 2, 3)])
    second = read_usage(stored.store, stored.publish(), "night-1")
    used = [stored.completed(row).usage for row in range(4)]
    for usage, dollars in ((first, Usage()), (second, total(used[1:]))):
        other = usage["other_currencies"]["USD"]
        assert (usage["currency"], list(usage["other_currencies"])) == ("EUR", ["USD"])
        assert (usage["charge"], usage["device_cost"]) == (used[0].charge, used[0].device_cost)
        assert Usage.from_dict(other) == dollars
        assert Usage.from_dict(other["wasted"]) == lost.usage
        assert (usage["wasted"]["prompt_tokens"], usage["wasted"]["charge"]) == (lost.usage.prompt_tokens, 0)
        assert usage["prompt_tokens"] == used[0].prompt_tokens + dollars.prompt_tokens
        assert usage["models"]["stub"]["other_currencies"] == usage["other_currencies"]
    new = second["new"]
    assert (new["rows"], new["charge"], new["prompt_tokens"]) == (3, 0, total(used[1:]).prompt_tokens)
    assert Usage.from_dict(new["other_currencies"]["USD"]) == total(used[1:])
    assert Usage.from_dict(new["other_currencies"]["USD"]["wasted"]) == Usage()


def test_a_round_carries_what_completed_and_bills_the_difference(stored: Any) -> None:
    stored.accept(rows=4)
    stored.write("night-1", [stored.completed(0), stored.completed(1), stored.failed(2), stored.failed(3)])
    first = stored.publish()
    before = {row["row"]: row for row in rows_of(stored, first)}
    stored.write("night-1", [replace(stored.completed(0), fence=0, output={"text": "late and cheaper"})])
    stored.write("night-1", [replace(stored.completed(2), output={"text": "late"})])
    reopen(stored.store, "night-1", [1])
    assert publish(stored.store, "night-1", prices=Prices()) == Incomplete(2, (1, 3))
    anew = replace(stored.completed(1, round_=2), output={"text": "anew"}, usage=Usage(1, 1, 1, 1, 1, 1))
    stored.write("night-1", [anew, stored.failed(3, round_=2)])
    second = stored.publish()
    after = {row["row"]: row for row in rows_of(stored, second)}
    assert after[0] == before[0]
    assert after[1]["output"] == {"text": "anew"}
    assert after[2]["output"] == {"text": "late"}
    assert statuses(stored, second)[3] == "empty_output"
    usage = read_usage(stored.store, second, "night-1")
    old = read_usage(stored.store, first, "night-1")
    assert Usage.from_dict(usage) == total([stored.completed(0).usage, anew.usage, stored.completed(2).usage])
    assert Usage.from_dict(usage["new"]) == Usage.from_dict(usage) - Usage.from_dict(old)
    assert usage["new"]["rows"] == usage["rows"] - old["rows"] == 1
    assert Usage.from_dict(usage["wasted"]) == stored.completed(0).usage + stored.completed(1).usage
    assert verify(stored.store, "night-1") == []


def test_what_came_too_late_for_its_round_is_waste_of_the_next(stored: Any) -> None:
    """A second text of a row that is published already changes nothing, and what it cost is not forgotten."""
    stored.accept(rows=2)
    stored.write("night-1", [stored.completed(0), stored.failed(1)])
    first = stored.publish()
    stored.write("night-1", [replace(stored.completed(0), fence=2)])
    assert stored.publish() == first
    reopen(stored.store, "night-1", clock=stored.clock)
    stored.write("night-1", [stored.completed(1, round_=2)])
    new = read_usage(stored.store, stored.publish(), "night-1")["new"]
    of_row = {row: stored.completed(row).usage for row in range(2)}
    assert Usage.from_dict(new) == of_row[1]
    assert Usage.from_dict(new["wasted"]) == of_row[0]


def test_a_row_sent_back_that_fails_is_not_published_with_its_old_text(stored: Any) -> None:
    stored.accept(rows=2)
    stored.write("night-1", [stored.completed(0), stored.completed(1)])
    stored.publish()
    reopen(stored.store, "night-1", [1])
    stored.write("night-1", [stored.failed(1, round_=2)])
    assert statuses(stored, stored.publish()) == {0: "completed", 1: "empty_output"}
    reopen(stored.store, "night-1")
    assert publish(stored.store, "night-1", prices=Prices()) == Incomplete(1, (1,))
    close(stored.store, "night-1", "cancelled")
    assert statuses(stored, stored.publish()) == {0: "completed", 1: "cancelled"}
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


def test_of_publishers_at_once_one_decides_and_the_others_clear_up(stored: Any) -> None:
    stored.accept(rows=10)
    stored.write("night-1", [stored.completed(row) for row in range(10)])
    publishers = 4
    barrier = threading.Barrier(publishers)

    def clock() -> Any:  # asked when a publisher has written its files and is about to decide
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


def test_what_comes_after_the_listing_changes_nothing(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.accept(rows=1)
    stored.write("night-1", [stored.failed(0)])

    def late(*values: Any) -> Any:
        stored.write("night-1", [stored.completed(0)])
        return Winners(*values)

    monkeypatch.setattr(publishing, "Winners", late)
    assert statuses(stored, stored.publish()) == {0: "empty_output"}


def test_publishers_that_saw_different_segments_do_not_mix_their_files(stored: Any) -> None:
    """While one is about to decide, a line comes that wins, and another publishes with it."""
    stored.accept(rows=1)
    stored.write("night-1", [stored.failed(0)])
    others: list[Done] = []

    def clock() -> Any:  # asked when a publisher has written its files and is about to decide
        if not others:
            others.append(None)  # type: ignore[arg-type]
            stored.write("night-1", [stored.completed(0)])
            others[0] = stored.publish()
        return stored.now

    done = publish(stored.store, "night-1", prices=Prices(), clock=clock)
    assert done == others[0]
    assert verify(stored.store, "night-1") == []
    assert statuses(stored, others[0]) == {0: "completed"}


def test_a_row_that_completes_while_the_batch_is_closed_is_not_given_up(stored: Any) -> None:
    """Its segment, and then the marker, come right after the publisher has listed the segments."""
    stored.accept(rows=1)
    whole = stored.store
    result = publish(cast("Store", Listing(whole, lambda: finish_and_close(stored, whole))), "night-1", prices=Prices())
    assert result == Incomplete(1, (0,)), "it had read the markers before, and saw none"
    assert statuses(stored, stored.publish()) == {0: "completed"}


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


@pytest.mark.parametrize("bucket_bytes", [1, 400, 1 << 20], ids=["a row at a time", "a few rows", "all in memory"])
def test_spilling_changes_nothing(shelf: Any, bucket_bytes: int) -> None:
    shelf.accept(rows=50, refused=[7])
    for start in range(5):
        shelf.write("night-1", [shelf.completed(row) for row in range(start, 50, 5) if row not in (7, 8)])
    close(shelf.store, "night-1", "cancelled")
    done = publish(shelf.store, "night-1", prices=Prices(), clock=shelf.clock, bucket_bytes=bucket_bytes)
    assert isinstance(done, Done)
    assert [row["row"] for row in rows_of(shelf, done)] == [row for row in range(50) if row not in (7, 8)]
    assert [row["row"] for row in rows_of(shelf, done, "errors.jsonl")] == [7, 8]
    assert verify(shelf.store, "night-1") == []


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
    """Whatever lies in the segments: each row once, the sums exact, and what was carried unchanged."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no disk decides here, and 60 examples would wait for it
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

    before = {row["row"]: row for row in rows_of(shelf, play(first, 1))}
    if len(before) < 5 or sent_back:
        reopen(shelf.store, "night-1", sorted(sent_back) or None)
        after = {row["row"]: row for row in rows_of(shelf, play(second, 2))}
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
