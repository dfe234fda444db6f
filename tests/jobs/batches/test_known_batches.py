"""Shows jobs/batches/known_batches.py: what a worker knows of the batches whose rows it runs, and how seldom it reads it."""

from typing import Any

import pytest

from jobs.batches import known_batches
from jobs.batches.batch import BatchPaths
from jobs.batches.known_batches import KnownBatches
from jobs.batches.rounds import reopen
from jobs.errors import StoreDamaged
from jobs.store.store import Store


class Reads:
    """Counts the reads of acceptances, and of rounds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n = 0
        for name in ("load_batch", "read_round"):
            self._count(monkeypatch, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(known_batches, name)

        def counted(store: Store, what: Any) -> Any:
            self.n += 1
            return real(store, what)

        monkeypatch.setattr(known_batches, name, counted)


def test_a_batch_is_read_once_for_all_rows_of_a_round(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, reads, known = shelf.accept(), Reads(monkeypatch), KnownBatches(shelf.store)
    for _ in range(50):
        found = known.get(batch.batch_id, 1)
        assert found is not None
        assert (found.batch, found.current.number) == (batch, 1)
    assert reads.n == 2


def test_a_row_of_a_later_round_has_the_round_read_again(shelf: Any) -> None:
    batch, known = shelf.accept(), KnownBatches(shelf.store)
    assert known.get(batch.batch_id, 1).current.number == 1  # type: ignore[union-attr]
    shelf.write(batch.batch_id, [shelf.failed(row) for row in range(batch.rows)])
    shelf.publish(batch.batch_id)
    reopen(shelf.store, batch.batch_id)
    assert known.get(batch.batch_id, 1).current.number == 1  # type: ignore[union-attr]
    assert known.get(batch.batch_id, 2).current.number == 2  # type: ignore[union-attr]
    assert known.get(batch.batch_id, 1).current.number == 2  # type: ignore[union-attr]


def test_a_batch_that_is_not_there_is_none_and_may_come(shelf: Any) -> None:
    known = KnownBatches(shelf.store)
    assert known.get("night-1", 1) is None
    batch = shelf.accept()
    assert batch.batch_id == "night-1"
    assert known.get("night-1", 1) is not None
    shelf.store.delete(BatchPaths("night-1").acceptance)
    assert known.get("night-1", 1) is not None, "it was read before"
    known.clear()
    assert known.get("night-1", 1) is None


def test_damage_is_raised_at_each_look(shelf: Any) -> None:
    batch, known = shelf.accept(), KnownBatches(shelf.store)
    shelf.store.delete(BatchPaths(batch.batch_id).acceptance)
    shelf.store.create(BatchPaths(batch.batch_id).acceptance, b"{")
    for _ in range(2):
        with pytest.raises(StoreDamaged):
            known.get(batch.batch_id, 1)


def test_only_so_many_batches_are_kept(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_batches, "MOST", 2)
    batch, known = shelf.accept(), KnownBatches(shelf.store)
    known.get(batch.batch_id, 1)
    for n in range(5):
        known._known[f"other-{n}"] = known._known[batch.batch_id]
    known.get(batch.batch_id, 1)
    assert list(known._known) == ["other-4", batch.batch_id]
