"""Shows jobs/commands/failed.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

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
