"""Shows jobs/commands/usage.py and views/usage.py."""

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from jobs.batches.rounds import reopen
from jobs.usage import Usage
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


def test_lengths_are_shown_as_quantiles(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    """Nineteen of twenty rows have 10 tokens, and one has 1,000."""
    shelf.accept(rows=40)
    tokens = [1000 if n % 20 == 19 else 10 for n in range(40)]
    shelf.write("night-1", [shelf.completed(n, usage=Usage(50, 0, one, one * 10**8)) for n, one in enumerate(tokens)])
    shelf.publish()
    (found,) = nightpress("usage", "--lengths", "--json").json()
    lengths = found["lengths"]
    assert (lengths["rows"], lengths["completion_tokens"]["mean"]) == (40, 59.5)
    assert [lengths["completion_tokens"][name] for name in ("half", "most")] == [10, 10]
    assert lengths["completion_tokens"]["largest"] == pytest.approx(1000, rel=1 / 32)
    assert lengths["prompt_tokens"]["half"] == pytest.approx(50, rel=1 / 32)
    ran = nightpress("usage", "--lengths")
    assert max(map(len, ran.out.splitlines())) <= 80
    row = ran.out.splitlines()[2].split()
    assert (row[0], row[1], row[4], row[5]) == ("night-1", "40", "10", "10")


def test_lengths_are_no_csv(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    ran = nightpress("usage", "--lengths", "--format", "csv")
    assert ran.status == 2
    assert "use --format json" in ran.err


def test_lengths_of_a_day_that_only_took_rows_away_are_empty(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1)])
    shelf.publish()
    shelf.pass_s(24 * 3600)
    reopen(shelf.store, "night-1", [0], clock=shelf.clock)
    shelf.write("night-1", [shelf.failed(0, round_=2)])
    shelf.publish()
    first, second = nightpress("usage", "--lengths", "--by", "day", "--json").json()
    assert (first["lengths"]["rows"], second["rows"], second["lengths"]["rows"]) == (2, -1, 0)
    assert nightpress("usage", "--lengths", "--by", "day").status == 0
