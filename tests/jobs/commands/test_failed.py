"""Shows jobs/commands/failed.py."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_failed_rows_are_listed_with_what_is_wrong(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "list", "night-1")
    assert ran.out.splitlines() == [
        "row 1, line 2: not_json: not JSON",
        "row 2 (c2), line 3: empty_output: the model wrote nothing",
    ]
    assert [row["row"] for row in nightpress("failed", "list", "night-1", "--json").rows()] == [1, 2]


def test_failed_rows_can_be_tried_again_but_only_when_published(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "retry", "night-1", "--row", "3", "--deadline", "+8h")
    assert (ran.status, ran.out) == (0, "")
    assert "round 2 is open" in ran.err
    reopened = orjson.loads(night.store.read("batches/night-1/reopen-2.json"))
    assert (reopened["rows"], reopened["deadline"]) == ([3], "2026-11-24T06:00:00Z")
    ran = nightpress("failed", "retry", "night-1")
    assert ran.status == 2
    assert "still open" in ran.err


def test_texts_that_repeat_others_are_written_anew(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    same = "The old bakery at the corner of the market square opens on Sundays from now on"
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(row, output={"text": same}) for row in range(3)])
    shelf.publish()
    ran = nightpress("failed", "retry", "night-1", "--reopen-same", "--row", "1")
    assert (ran.status, "--row and --reopen-same" in ran.err) == (2, True)
    ran = nightpress("failed", "retry", "night-1", "--reopen-same", "--deadline", "+8h")
    assert ran.status == 0
    assert "2 rows that repeat others will be written anew" in ran.err
    assert "round 2 is open" in ran.err
    reopened = orjson.loads(shelf.store.read("batches/night-1/reopen-2.json"))
    assert (reopened["rows"], reopened["deadline"]) == (None, "2026-11-24T06:00:00Z")
    assert reopened["renews"] == [{"rows": [1, 2], "avoid": [same[:80]]}]
    ran = nightpress("failed", "retry", "night-1", "--reopen-same")
    assert (ran.status, "still open" in ran.err) == (2, True)


def test_texts_that_differ_are_not_written_anew(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "retry", "night-1", "--reopen-same")
    assert (ran.status, "no texts of night-1 repeat others" in ran.err) == (2, True)
    assert not night.store.exists("batches/night-1/reopen-2.json")


def test_rows_that_intake_refused_are_not_run_again(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=3, refused=[1])
    shelf.write("night-1", [shelf.completed(0), shelf.completed(2)])
    shelf.publish()
    for words in ([], ["--row", "1"], ["--row", "0", "--row", "1"]):
        ran = nightpress("failed", "retry", "night-1", *words)
        assert ran.status == 2
        assert "intake refused" in ran.err
        assert "nightpress failed export night-1 -o FILE" in ran.err
        assert not shelf.store.exists("batches/night-1/reopen-2.json")
    assert nightpress("failed", "retry", "night-1", "--row", "c0").status == 0


def test_a_retry_says_which_rows_it_leaves(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "retry", "night-1")
    assert "round 2 is open" in ran.err
    assert "1 of its rows were refused by intake, and are not run: nightpress failed export night-1" in ran.err


def test_refused_rows_are_exported(nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path) -> None:
    line = b'{"nightpress_error":"line 2: not_json","nightpress_raw":"x"}\n'
    ran = nightpress("failed", "export", "night-1", "-o", "fix.jsonl")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines() == ["1 row as JSON Lines. Correct them, then:", "  nightpress enqueue fix.jsonl"]
    assert (tmp_path / "fix.jsonl").read_bytes() == line
    assert nightpress("failed", "export", "night-1").out.encode() == line
    assert nightpress("failed", "export", "night-1", "-o", f"{tmp_path}/new/").status == 0
    assert (tmp_path / "new/refused.jsonl").read_bytes() == line
    assert nightpress("failed", "export", "night-1", "-o", "no/such/fix.jsonl").status == 2
    assert (
        nightpress("failed", "export", "night-1", "-o", "-").out == nightpress("failed", "export", "night-1").out != ""
    )
    night.accept("night-2", 1)
    assert "nothing to correct" in nightpress("failed", "export", "night-2").err


def test_rows_as_they_came_are_not_written_on_a_terminal(
    nightpress: Callable[..., Ran], night: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ran = nightpress("failed", "export", "night-1")
    assert (ran.status, ran.out) == (2, "")
    assert "name a file for the JSON Lines with -o" in ran.err
