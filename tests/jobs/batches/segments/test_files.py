"""Shows jobs/batches/segments/files.py: what a reader does when a file that it has listed is gone."""

from typing import Any

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.segments.files import Compacted, each_heads, some_outcomes, until_read
from jobs.errors import StoreUnavailable

PATHS = BatchPaths("night-1")


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_file_that_is_gone_was_compacted(shelf: Any, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(shelf.store, "reads_at_once", at_once)
    shelf.accept()
    paths = [PATHS.segment(shelf.write("night-1", [shelf.completed(row)])) for row in range(3)]
    shelf.store.delete(paths[2])
    heads = each_heads(shelf.store, paths)
    assert [next(heads)[0], next(heads)[0]] == paths[:2]
    with pytest.raises(Compacted, match=paths[2]):
        next(heads)


def test_reading_begins_anew_but_not_for_ever(shelf: Any) -> None:
    tries: list[int] = []

    def read() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise Compacted("a")
        return 7

    assert until_read(shelf.store, read) == 7

    def gone() -> list[Any]:
        return list(each_heads(shelf.store, ["batches/night-1/segments/gone"]))

    with pytest.raises(StoreUnavailable, match="Try again later"):
        until_read(shelf.store, gone)


def test_some_outcomes_skips_files_that_are_gone(shelf: Any) -> None:
    shelf.accept()
    paths = [PATHS.segment(shelf.write("night-1", [shelf.completed(row), shelf.failed(row)])) for row in range(3)]
    shelf.store.delete(paths[1])
    assert [outcome.row for outcome in some_outcomes(shelf.store, paths, 1)] == [0, 2]
