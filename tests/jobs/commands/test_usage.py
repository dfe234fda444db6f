"""Shows jobs/commands/usage.py and views/usage.py."""

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.mark.parametrize("by", ["tenant", "model", "batch", "kind", "day"])
def test_usage_adds_up_to_the_published_totals(by: str, nightpress: Callable[..., Ran], night: Shelf) -> None:
    (folder,) = night.store.list("batches/night-1/published")
    published = orjson.loads(night.store.read(f"batches/night-1/published/{folder}/usage.json"))
    (sums,) = nightpress("usage", "--by", by, "--format", "json").json()
    assert {name: sums[name] for name in sums if name != by} == {name: published[name] for name in sums if name != by}
    text = nightpress("usage", "--by", by, "--format", "csv").out
    (line,) = csv.DictReader(io.StringIO(text, newline=""))
    assert all(cell[:1] + cell[-1:] == '""' for cell in text.replace("\n", ",").rstrip(",").split(","))
    assert line == {name: str(value) for name, value in sums.items()}


def test_usage_as_a_table_fits_80_columns_and_ends_with_the_total(nightpress: Callable[..., Ran], night: Shelf) -> None:
    night.accept("another-" + "x" * 60, 1)
    night.write("another-" + "x" * 60, [night.completed(0)])
    night.publish("another-" + "x" * 60)
    ran = nightpress("usage")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "another-" + "x" * 60 in ran.out.splitlines(), "it can be copied"
    total = ran.out.splitlines().index("total")
    assert ran.out.splitlines()[total + 1].split()[0] == "3"
    ran = nightpress("usage", "--until", "2026-11-01")
    assert (ran.status, ran.out) == (0, "")
    assert "nothing was published then" in ran.err


@pytest.mark.parametrize("by", ["tenant", "model", "batch", "kind", "day"])
def test_usage_counts_verdicts(by: str, nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    """The table has a column for rows to review only if there are such rows."""
    shelf.accept(rows=4)
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.completed(1, verdict="fit"), shelf.completed(2)])
    shelf.write("night-1", [shelf.completed(3, verdict="fit")])
    shelf.publish()
    (sums,) = nightpress("usage", "--by", by, "--json").json()
    assert (sums["rows"], sums["fit"], sums["review"]) == (4, 3, 0)
    assert "review" not in nightpress("usage", "--by", by).out
    shelf.accept("x" * 60, 1)
    shelf.write("x" * 60, [shelf.completed(0, verdict="review")])
    shelf.publish("x" * 60)
    sums = nightpress("usage", "--by", by, "--json").json()
    assert sum(one["review"] for one in sums) == 1
    out = nightpress("usage", "--by", by).out
    assert max(map(len, out.splitlines())) <= 80
    assert "review" in out.split()
    assert " ".join(out.split()).find("total 5 1 ") > 0
