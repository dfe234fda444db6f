"""Shows jobs/batches/segments/files.py: files in their order however they arrive, few at a time, and a file that is gone."""

import threading
from typing import Any

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.segments.files import AHEAD_BYTES, Compacted, ahead, each_heads, some_outcomes, until_read
from jobs.errors import StoreUnavailable

PATHS = BatchPaths("night-1")


@pytest.mark.parametrize("at_once", [1, 3])
def test_files_come_in_order_however_they_arrive(at_once: int) -> None:
    second = threading.Event()

    def read(path: str) -> str:
        if path == "b":
            second.set()
        elif path == "a" and at_once > 1:
            assert second.wait(20), "the second is read while the first is under way"
        return path.upper()

    assert list(ahead(read, dict.fromkeys("abcdefgh", 1), at_once)) == [(path, path.upper()) for path in "abcdefgh"]


@pytest.mark.parametrize(
    ("size", "most"),
    [
        pytest.param(1, 4, id="in files"),
        pytest.param(AHEAD_BYTES, 1, id="in bytes"),
        pytest.param(AHEAD_BYTES // 3, 3, id="in bytes, some"),
    ],
)
def test_no_more_waits_than_may(size: int, most: int) -> None:
    read: list[str] = []
    files = {str(n): size for n in range(50)}
    for n, (path, _) in enumerate(ahead(read.append, files, 2)):
        assert path == str(n)
        assert len(read) <= n + most + 1
    assert len(read) == 50


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_file_that_is_gone_was_compacted(at_once: int) -> None:
    given = ahead(dict.fromkeys("ab", 0).__getitem__, dict.fromkeys("abc", 0), at_once)
    assert [next(given)[0], next(given)[0]] == ["a", "b"]
    with pytest.raises(Compacted, match="c"):
        next(given)


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


def test_some_outcomes_pass_over_what_is_gone(shelf: Any) -> None:
    shelf.accept()
    paths = [PATHS.segment(shelf.write("night-1", [shelf.completed(row), shelf.failed(row)])) for row in range(3)]
    shelf.store.delete(paths[1])
    assert [outcome.row for outcome in some_outcomes(shelf.store, paths, 1)] == [0, 2]
