"""Shows jobs/summaries.py: each round is summed up once, whoever does it, and is read once."""

from typing import TYPE_CHECKING, Any

import pytest

from jobs import summaries as module
from jobs.batch import BatchPaths
from jobs.rounds import reopen
from jobs.summaries import FOLDER, Summary, Tally, sum_up, summaries

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def rows_of(found: list[Summary]) -> dict[tuple[str, int], int]:
    """The rows that each round added."""
    return {(one.batch_id, one.round): sum((tally.rows for tally in one.added.values()), 0) for one in found}


@pytest.fixture
def two_rounds(shelf: Shelf) -> Shelf:
    shelf.accept(rows=3, tenants=["acme", "zeta"], kinds=["chat", "article"])
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1), shelf.failed(2)])
    shelf.publish()
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2, kind="article"), shelf.completed(2, round_=2)])
    shelf.publish()
    return shelf


def test_a_round_adds_its_difference_by_tenant_model_and_kind(two_rounds: Shelf) -> None:
    first, second = sorted(summaries(two_rounds.store), key=lambda one: one.round)
    assert {group: tally.rows for group, tally in first.added.items()} == {("acme", "stub", "chat"): 1}
    assert {group: tally.rows for group, tally in second.added.items()} == {
        ("acme", "stub", "chat"): 1,
        ("zeta", "stub", "article"): 1,
    }
    assert Summary.from_bytes(second.to_bytes()) == second


def test_a_later_round_is_summed_up_although_an_earlier_one_was(shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    assert rows_of(list(summaries(shelf.store))) == {("night-1", 1): 1}
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    assert rows_of(list(summaries(shelf.store))) == {("night-1", 1): 1}
    shelf.publish()
    assert rows_of(list(summaries(shelf.store))) == {("night-1", 1): 1, ("night-1", 2): 1}


def test_a_round_that_was_summed_up_is_not_read_again(two_rounds: Shelf) -> None:
    before = list(summaries(two_rounds.store))
    two_rounds.store.delete("batches/night-1/published")
    assert list(summaries(two_rounds.store)) == before


def test_many_are_archived_and_each_is_still_read_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ARCHIVED", 3)
    for n in range(5):
        shelf.accept(f"b-{n}", 1)
        shelf.write(f"b-{n}", [shelf.completed(0)])
        shelf.publish(f"b-{n}")
    wanted = {(f"b-{n}", 1): 1 for n in range(5)}
    assert rows_of(list(summaries(shelf.store))) == wanted
    (archive,) = [name for name in shelf.store.list(FOLDER) if name.startswith("archive-")]
    again = list(summaries(shelf.store))
    assert rows_of(again) == wanted
    assert len(again) == 5
    for n in range(5):
        shelf.store.delete(f"{FOLDER}/b-{n}.1.json")
        shelf.store.delete(BatchPaths(f"b-{n}").root)
    assert rows_of(list(summaries(shelf.store))) == wanted, f"{archive} holds them"


def test_a_batch_that_is_not_there_or_not_published_has_nothing_to_sum_up(shelf: Shelf) -> None:
    shelf.accept()
    for batch_id in ("night-1", "nobody"):
        sum_up(shelf.store, batch_id)
    assert shelf.store.list(FOLDER) == []
    assert Tally() - Tally() == Tally()
