"""Shows workers/spool.py: chunks on local disk, in order, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.spool import OutcomeSpool


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


def test_a_disk_that_refuses_is_said_and_harms_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    spool = OutcomeSpool[str](tmp_path / "file", 1000)
    assert not spool.push(["x"])
    assert len(spool) == 0
    assert "spool.refused" in capsys.readouterr().out
