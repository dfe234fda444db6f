"""Shows workers/worker/outcome_spool.py: chunks on local disk, in order, whole or not at all."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers.worker.outcome_spool import OutcomeSpool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[OutcomeSpool[str]]:
    made = OutcomeSpool[str](tmp_path / "deep" / "spool", 1000)
    yield made
    made.close()


def test_what_goes_in_comes_out_in_order(spool: OutcomeSpool[str], tmp_path: Path) -> None:
    for n in range(3):
        assert spool.push([f"{n}a", f"{n}b"])
    assert spool.pop() == ["0a", "0b"]
    assert spool.push(["3"])
    assert [spool.pop(), spool.pop(), spool.pop()] == [["1a", "1b"], ["2a", "2b"], ["3"]]
    assert len(spool) == 0
    assert list((tmp_path / "deep" / "spool").iterdir()) == [], "the file has no name"


def test_it_takes_no_more_than_it_may_and_has_room_again(spool: OutcomeSpool[str]) -> None:
    assert spool.push(["x" * 700])
    assert not spool.push(["y" * 700])
    assert spool.pop() == ["x" * 700]
    assert spool.push(["y" * 700])
    assert spool.pop() == ["y" * 700]


def test_a_disk_that_refuses_is_said_and_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    spool = OutcomeSpool[str](tmp_path / "file", 1000)
    assert not spool.push(["x"])
    assert len(spool) == 0
    assert "spool.refused" in caplog.text


@contextmanager
def room(most_bytes: int) -> Iterator[None]:
    """A disk on which no file grows beyond this: a write that does is cut short, as on one that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_within_a_chunk_takes_nothing_of_it(
    spool: OutcomeSpool[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert spool.push(["x" * 300])
    with room(500):
        taken = spool.push(["y" * 300])
    assert not taken
    assert "spool.refused" in caplog.text
    assert spool._opened().seek(0, os.SEEK_END) < 400, "half a chunk was left on the disk"
    assert spool.push(["z" * 300])
    assert [spool.pop(), spool.pop()] == [["x" * 300], ["z" * 300]]


def test_a_chunk_that_does_not_read_back_is_the_only_one_lost(spool: OutcomeSpool[str]) -> None:
    for text in "abc":
        assert spool.push([text * 50])
    file = spool._opened()
    file.seek(spool._chunks[1].offset + 30)
    file.write(b"!")
    assert spool.pop() == ["a" * 50]
    with pytest.raises(OSError, match="is not as it was"):
        spool.pop()
    assert spool.pop() == ["c" * 50]


def test_what_does_not_read_back_keeps_no_room(spool: OutcomeSpool[str]) -> None:
    assert spool.push(["x" * 700])
    spool._opened().truncate(300)
    with pytest.raises(OSError, match="is not as it was"):
        spool.pop()
    assert len(spool) == 0
    assert spool.push(["y" * 700])
    assert spool.pop() == ["y" * 700]
