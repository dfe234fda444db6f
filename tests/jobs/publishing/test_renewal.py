"""Shows rule 44 of jobs/PROTOCOL.md: a renewed row is run again, and keeps its published outcome unless it completes again."""

from dataclasses import replace
from typing import Any

import pytest

from jobs.batches.batch import Batch, BatchPaths, Renewal
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import close, load_batch, read_round, reopen
from jobs.errors import ConflictError, RequestError, StoreDamaged
from jobs.prices import Prices
from jobs.publishing.publish import Incomplete, publish
from jobs.usage import Usage

PATHS = BatchPaths("night-1")
RENEWED = Renewal(rows=(1, 2), avoid=("Once upon a time",))


@pytest.fixture
def published(stored: Any) -> Any:
    """Three completed rows and a failed one; rows 1 and 2 are to be written anew in round 2."""
    stored.accept(rows=4)
    stored.write("night-1", [stored.completed(0), stored.completed(1), stored.completed(2), stored.failed(3)])
    stored.publish()
    reopen(stored.store, "night-1", renews=[RENEWED], after=1)
    return stored


def batch(stored: Any) -> Batch:
    found = load_batch(stored.store, "night-1")
    assert found is not None
    return found


def texts(stored: Any) -> dict[int, str]:
    """Publish the round; return the texts of the completed rows."""
    done = stored.publish()
    assert verify(stored.store, "night-1") == []
    return {row["row"]: row["output"]["text"] for row in stored.rows(done)}


def anew(stored: Any, row: int, round_: int = 2, text: str = "anew") -> Any:
    return replace(stored.completed(row, round_=round_), output={"text": text})


def test_renewed_rows_are_run_and_know_what_not_to_repeat(published: Any) -> None:
    index = OutcomeIndex(published.store, batch(published))
    index.refresh()
    assert list(index.missing_rows()) == [1, 2, 3]
    assert publish(published.store, "night-1", prices=Prices()) == Incomplete(3, (1, 2, 3))
    assert index.current.renewed == {1: RENEWED.avoid, 2: RENEWED.avoid}


def test_a_new_text_replaces_the_old_one_and_a_failure_does_not(published: Any) -> None:
    before = read_usage(published.store, read_round(published.store, batch(published)).before, "night-1")  # type: ignore[arg-type]
    published.write("night-1", [anew(published, 1), published.failed(2, round_=2), published.failed(3, round_=2)])
    done = published.publish()
    assert verify(published.store, "night-1") == []
    assert published.statuses(done) == {0: "completed", 1: "completed", 2: "completed", 3: "empty_output"}
    assert {row["row"]: row["output"]["text"] for row in published.rows(done)} == {0: "Text 0", 1: "anew", 2: "Text 2"}
    usage = read_usage(published.store, done, "night-1")
    assert (usage["rows"], usage["new"]["rows"]) == (3, 0)
    assert Usage.from_dict(usage) == Usage.from_dict(before), "each row is charged once, for the text that is published"
    assert Usage.from_dict(usage["wasted"]) == published.completed(1).usage


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("fit", "fit", "anew"),
        ("fit", "review", "Text 0"),
        ("fit", None, "Text 0"),
        ("review", "review", "anew"),
        ("review", "fit", "anew"),
        ("review", None, "anew"),
        (None, "review", "anew"),
        (None, "fit", "anew"),
    ],
)
def test_only_a_fit_text_replaces_a_fit_one(stored: Any, old: Any, new: Any, text: str) -> None:
    stored.accept(rows=1)
    stored.write("night-1", [replace(stored.completed(0), verdict=old)])
    stored.publish()
    reopen(stored.store, "night-1", renews=[Renewal(rows=(0,), avoid=("Once",))], after=1)
    stored.write("night-1", [replace(anew(stored, 0), verdict=new)])
    done = stored.publish()
    assert verify(stored.store, "night-1") == []
    (row,) = stored.rows(done)
    verdict = new if text == "anew" else old
    assert (row["output"]["text"], row.get("verdict")) == (text, verdict)
    assert done.verdicts == ({} if verdict is None else {verdict: 1})
    usage = read_usage(stored.store, done, "night-1")
    assert (usage["rows"], usage["fit"], usage["review"]) == (1, int(verdict == "fit"), int(verdict == "review"))


def test_a_text_of_an_earlier_round_is_no_new_one(published: Any) -> None:
    """Otherwise the lower fence of an old line would bring it back."""
    published.write("night-1", [replace(anew(published, 1, round_=1, text="late"), fence=0)])
    published.write("night-1", [anew(published, 2), published.failed(3, round_=2)])
    assert publish(published.store, "night-1", prices=Prices()) == Incomplete(1, (1,))
    published.write("night-1", [anew(published, 1)])
    assert texts(published) == {0: "Text 0", 1: "anew", 2: "anew"}


@pytest.mark.parametrize("reason", ["cancelled", "expired"])
def test_a_closed_round_takes_no_outcome_away(published: Any, reason: Any) -> None:
    published.write("night-1", [anew(published, 1)])
    close(published.store, "night-1", reason)
    done = published.publish()
    assert published.statuses(done) == {0: "completed", 1: "completed", 2: "completed", 3: reason}
    assert [row["output"]["text"] for row in published.rows(done)] == ["Text 0", "anew", "Text 2"]


def test_a_new_text_that_comes_too_late_changes_nothing_in_later_rounds(published: Any) -> None:
    published.write("night-1", [anew(published, 1), published.failed(2, round_=2), published.failed(3, round_=2)])
    published.publish()
    published.write("night-1", [anew(published, 2, text="late")])
    reopen(published.store, "night-1")
    published.write("night-1", [published.completed(3, round_=3)])
    assert texts(published) == {0: "Text 0", 1: "anew", 2: "Text 2", 3: "Text 3"}


def test_a_row_may_be_renewed_again_and_sent_back_later(published: Any) -> None:
    published.write("night-1", [anew(published, 1), anew(published, 2), published.failed(3, round_=2)])
    published.publish()
    reopen(published.store, "night-1", [2], renews=[RENEWED], after=2)
    assert read_round(published.store, batch(published)).renewed == {1: RENEWED.avoid}, "row 2 is sent back by name"
    published.write("night-1", [published.failed(row, round_=3) for row in (1, 2, 3)])
    assert texts(published) == {0: "Text 0", 1: "anew"}


def test_rows_are_renewed_only_in_the_round_after_the_one_that_was_read(published: Any) -> None:
    published.write("night-1", [anew(published, 1), anew(published, 2), published.failed(3, round_=2)])
    published.publish()
    with pytest.raises(ConflictError, match="reopened"):
        reopen(published.store, "night-1", renews=[RENEWED], after=1)
    assert not published.store.exists(PATHS.reopen(3))


def test_a_row_that_the_batch_lacks_is_not_renewed(stored: Any) -> None:
    stored.accept(rows=1)
    stored.write("night-1", [stored.completed(0)])
    stored.publish()
    with pytest.raises(RequestError, match="no row 1"):
        reopen(stored.store, "night-1", renews=[Renewal(rows=(1,))])
    marker = reopen(stored.store, "night-1", renews=[Renewal(rows=(0,))])
    stored.store.delete(PATHS.reopen(2))
    wrong = marker.model_copy(update={"renews": (Renewal(rows=(7,)),)})
    stored.store.create(PATHS.reopen(2), wrong.model_dump_json().encode())
    with pytest.raises(StoreDamaged, match="renews: the batch has no such row"):
        publish(stored.store, "night-1", prices=Prices())
