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


def test_chunks_come_out_in_the_order_in_which_they_went_in(spool: OutcomeSpool[str], tmp_path: Path) -> None:
    for n in range(3):
        assert spool.push([f"{n}a", f"{n}b"])
    assert spool.pop() == ["0a", "0b"]
    assert spool.push(["3"])
    assert [spool.pop(), spool.pop(), spool.pop()] == [["1a", "1b"], ["2a", "2b"], ["3"]]
    assert len(spool) == 0
    assert list((tmp_path / "deep" / "spool").iterdir()) == [], "the file has no name"


def test_a_full_spool_refuses_until_it_has_room_again(spool: OutcomeSpool[str]) -> None:
    assert spool.push(["x" * 700])
    assert not spool.push(["y" * 700])
    assert spool.pop() == ["x" * 700]
    assert spool.push(["y" * 700])
    assert spool.pop() == ["y" * 700]


def test_a_disk_that_refuses_is_logged_and_harms_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    spool = OutcomeSpool[str](tmp_path / "file", 1000)
    assert not spool.push(["x"])
    assert len(spool) == 0
    assert "spool.refused" in capsys.readouterr().out


@contextmanager
def room(most_bytes: int) -> Iterator[None]:
    """In the block, no file grows beyond `most_bytes`. A longer write is cut short, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_within_a_chunk_takes_nothing_of_it(
    spool: OutcomeSpool[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert spool.push(["x" * 300])
    with room(500):
        taken = spool.push(["y" * 300])
    assert not taken
    assert "spool.refused" in capsys.readouterr().out
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
    with pytest.raises(OSError, match="is not as it was written"):
        spool.pop()
    assert spool.pop() == ["c" * 50]


def test_a_chunk_that_does_not_read_back_frees_its_room(spool: OutcomeSpool[str]) -> None:
    assert spool.push(["x" * 700])
    spool._opened().truncate(300)
    with pytest.raises(OSError, match="is not as it was written"):
        spool.pop()
    assert len(spool) == 0
    assert spool.push(["y" * 700])
    assert spool.pop() == ["y" * 700]
