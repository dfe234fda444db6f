"""Shows jobs/batches/segments/compaction.py: there are fewer files and the same outcomes, even if a compaction dies, is late,
or is done twice.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import published_lines, read_usage, verify
from jobs.batches.rounds import require_batch
from jobs.batches.segments import compaction
from jobs.batches.segments.compaction import compact
from jobs.batches.segments.files import each_outcome, list_files
from jobs.errors import StoreUnavailable
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.store.opening import open_store
from jobs.store.store import Store

PATHS = BatchPaths("night-1")
ROWS = 12

Die = Callable[[Store, int], Store]


def fill(shelf: Any) -> Any:
    """Make a batch with a segment for each row, and with ties, a lost attempt and a failure."""
    shelf.accept(rows=ROWS + 1, refused=[3])
    for row in range(ROWS):
        if row != 3:
            shelf.write("night-1", [shelf.failed(row, final=False), shelf.completed(row)], worker=f"w{row % 3}")
    shelf.write("night-1", [replace(shelf.completed(1), output={"text": "a tie"})], worker="a")
    shelf.write("night-1", [replace(shelf.completed(2), output={"text": "another"})], worker="z")
    shelf.write("night-1", [replace(shelf.completed(4), fence=0, output={"text": "lowest fence"})], worker="z")
    shelf.write("night-1", [replace(shelf.completed(5), output={"text": "a third"})], worker="w")
    return shelf


def index_of(store: Store) -> OutcomeIndex:
    index = OutcomeIndex(store, require_batch(store, "night-1"))
    index.refresh()
    return index


def files(store: Store) -> tuple[int, int]:
    listing = list_files(store, PATHS)
    return len(listing.alone), len(listing.compacted)


def known(index: OutcomeIndex) -> Any:
    return (
        [(index.has_outcome(row), index.past_attempts(row)) for row in range(ROWS)],
        index.usage,
        index.wasted,
        index.counts,
    )


def finished(shelf: Any) -> tuple[Any, ...]:
    """Write the last row, and a tie with a segment that was compacted. Return the files that are then published."""
    tie = replace(shelf.completed(6), output={"text": "a later name"})
    shelf.write("night-1", [shelf.failed(6, final=False), tie], worker="zz")
    shelf.write("night-1", [shelf.completed(ROWS)], worker="last")
    done = publish(shelf.store, "night-1", prices=Prices(), clock=shelf.clock)
    assert isinstance(done, Done)
    assert verify(shelf.store, "night-1") == []
    rows = [list(published_lines(shelf.store, done, "night-1", name)) for name in ("output.jsonl", "errors.jsonl")]
    return done.counts, done.files, done.segments_sha256, rows, read_usage(shelf.store, done, "night-1")


@pytest.fixture
def filled(shelf: Any) -> Any:
    return fill(shelf)


@pytest.fixture
def expected(tmp_path: Any, shelf: Any) -> tuple[Any, ...]:
    """Return the files that are published without compaction."""
    return finished(fill(type(shelf)(open_store(str(tmp_path / "other")))))


def test_fewer_files_and_the_same_outcomes(store: Store, shelf: Any, expected: tuple[Any, ...]) -> None:
    filled = fill(type(shelf)(store))
    before, watching = index_of(store), index_of(store)
    alone, _ = files(store)
    assert compact(store, index_of(store)) == alone
    assert files(store) == (0, 1)
    watching.refresh()
    assert known(watching) == known(before) == known(index_of(store))
    assert compact(store, index_of(store)) == 0
    assert finished(filled) == expected


def test_files_are_about_as_large_as_they_should_be(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "COMPACTED_BYTES", 4000)
    whole = list(each_outcome(filled.store, PATHS))
    compact(filled.store, index_of(filled.store))
    alone, compacted = files(filled.store)
    assert alone <= 1
    assert compacted > 2
    key = str
    assert sorted(each_outcome(filled.store, PATHS), key=key) == sorted(whole, key=key)


def test_a_large_segment_stays_alone(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_BYTES", 400)
    assert compact(filled.store, index_of(filled.store)) == 0
    assert files(filled.store)[1] == 0


@pytest.mark.parametrize("changes", range(20))
def test_a_compactor_killed_at_any_point_loses_nothing(
    filled: Any, expected: tuple[Any, ...], changes: int, dying: Die, killed: type[BaseException]
) -> None:
    store, before = filled.store, known(index_of(filled.store))
    try:
        compact(dying(store, changes), index_of(store))
    except killed:
        assert known(index_of(store)) == before
    compact(store, index_of(store))
    assert files(store) == (0, 1)
    assert known(index_of(store)) == before
    assert finished(filled) == expected


def test_two_compacted_files_may_hold_the_same_segments(filled: Any, expected: tuple[Any, ...]) -> None:
    store, index = filled.store, index_of(filled.store)
    names = store.list(PATHS.segments)
    for group in (names[:4], names[2:6]):
        compaction._put_together(store, index, group)
    for name in names[:6]:
        store.delete(PATHS.segment(name))
    assert known(index_of(store)) == known(index)
    assert finished(filled) == expected


def test_two_compactors_that_saw_different_segments(filled: Any, expected: tuple[Any, ...]) -> None:
    """The files of both compactors hold the first segments. Each of these segments is counted once, and no segment is lost."""
    store = filled.store
    before = known(index_of(store))

    class Slow:
        """Just before this store's first deletion, another process compacts, and a worker that got no reply writes its segment
        again.
        """

        def __init__(self) -> None:
            self.met = False

        def delete(self, path: str) -> None:
            if not self.met:
                self.met = True
                data = store.read(path)
                extra = filled.write("night-1", [filled.failed(0, final=False)], worker="new")
                compact(store, index_of(store))
                assert not store.exists(path)
                assert extra
                store.create(path, data)
                store.delete(path)
                store.create(path, data)
                return
            store.delete(path)

        def discard(self, *paths: str) -> bool:
            for path in paths:
                self.delete(path)
            return True

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    compact(cast("Store", Slow()), index_of(store))
    assert files(store)[0] == 2, "what a worker wrote again, and one of its own"
    assert known(index_of(store))[0][1:] == before[0][1:]
    compact(store, index_of(store))
    names = [outcome.claim_id for outcome in each_outcome(store, PATHS)]
    assert len(names) == 1 + len(list(each_outcome(fill_again(filled), PATHS)))
    assert finished(filled)[0] == expected[0]


def fill_again(shelf: Any) -> Store:
    other = type(shelf)(open_store(f"{shelf.store.url}-again"))
    return cast("Store", fill(other).store)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_reader_whose_files_were_compacted_reads_anew(filled: Any, expected: tuple[Any, ...], call: int) -> None:
    """All segments are compacted just before the n-th call of a publisher."""
    store, calls = filled.store, 0
    tie = replace(filled.completed(6), output={"text": "a later name"})
    filled.write("night-1", [filled.failed(6, final=False), tie], worker="zz")
    filled.write("night-1", [filled.completed(ROWS)], worker="last")

    class Moving:
        reads_at_once = 1

        def __getattr__(self, name: str) -> Any:
            nonlocal calls
            if name in ("list", "read", "read_range"):
                calls += 1
                if calls == call:
                    compact(store, index_of(store))
            return getattr(store, name)

    done = publish(cast("Store", Moving()), "night-1", prices=Prices(), clock=filled.clock)
    assert isinstance(done, Done)
    assert (done.counts, done.files, done.segments_sha256) == expected[:3]


def test_a_segment_that_the_first_listing_misses_is_in_the_second(filled: Any) -> None:
    """Files are deleted in the middle of a listing, which shows neither these files nor the compacted file."""
    store = filled.store
    before = known(index_of(store))

    class Torn:
        reads_at_once = 1
        torn = False

        def list(self, folder: str) -> list[str]:
            if folder == PATHS.segments and not self.torn:
                self.torn = True
                compact(store, index_of(store))
                return []
            return cast("list[str]", store.list(folder))

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    assert known(index_of(cast("Store", Torn()))) == before


def test_a_damaged_file_lets_nothing_be_deleted(filled: Any, dying: Die, killed: type[BaseException]) -> None:
    with pytest.raises(killed):
        compact(dying(filled.store, 1), index_of(filled.store))
    (path,) = list_files(filled.store, PATHS).compacted
    data = filled.store.read(path)
    index = index_of(filled.store)
    filled.store.delete(path)
    filled.store.create(path, data.replace(b"Text", b"text"))
    alone, _ = files(filled.store)
    with pytest.raises(StoreUnavailable, match="damaged"):
        compact(filled.store, index)
    assert files(filled.store) == (alone, 1)
