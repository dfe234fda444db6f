"""Shows jobs/commands/views/table.py, and the tables of commands: at any width each cell is whole, and it can be copied."""

import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from jobs.accounts.summary import Tally
from jobs.commands.views.estimate import table as estimate_table
from jobs.commands.views.table import Table
from jobs.commands.views.usage import tables as usage_tables
from jobs.operations.estimate import Estimate, Line
from jobs.usage import Usage

LARGE = Usage(9_876_543_210_123, 1_234_567_890, 3_256_950_000, 10**18, 123_456_789_012_345_678, 987_654_321_098_765)
KEYS = ("night-5f2c81", "a-very-long-name-of-a-batch-that-somebody-has-given-to-it-0123456789ab", "夜の記事" * 20)


def usage_table() -> Table:
    (table,) = usage_tables("batch", {"USD": {key: Tally(12_345_678, LARGE) for key in KEYS}})
    return table


def estimate() -> Table:
    lines = (Line(f"kind-{n}", key, f"{key}@abc", 1_000_000, LARGE, "other templates") for n, key in enumerate(KEYS))
    return estimate_table(Estimate(3, 0, {}, tuple(lines)), "USD")


def plain() -> Table:
    return Table(("batch", "rows", "cost USD"), [["night-1", "1,000,000", "12.345678"], ["n", "", "1"]])


@pytest.mark.parametrize("made", [usage_table, estimate, plain])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 400])
def test_every_number_and_id_stands_whole_in_a_line(made: Callable[[], Table], width: int) -> None:
    table = made()
    lines = list(table.lines(width))
    words = {word for line in lines for word in line.split()}
    for row in (*table.rows, table.total):
        for cell in row:
            assert set(cell.split()) <= words or not cell.isascii(), f"{cell} is broken"
    whole = "".join(lines).replace(" ", "")
    assert all(cell.replace(" ", "") in whole for row in table.rows for cell in row)
    numbers = max((cell_len(word) for word in words if re.search("[a-z0-9]", word)), default=0) + 4
    assert max(map(cell_len, lines)) <= max(width, numbers, *(cell_len(row[0]) for row in table.rows))


def test_the_layout_follows_the_width() -> None:
    table = plain()
    assert list(table.lines(80)) == [
        "batch         rows   cost USD",
        "-----------------------------",
        "night-1  1,000,000  12.345678",
        "n                           1",
    ]
    assert list(table.lines(24)) == [
        "batch",
        "       rows   cost USD",
        "----------------------",
        "night-1",
        "  1,000,000  12.345678",
        "n",
        "                     1",
    ]
    assert list(table.lines(20)) == ["night-1", "  rows 1,000,000", "  cost USD 12.345678", "n", "  cost USD 1"]


def test_columns_of_wide_characters_are_aligned() -> None:
    _, _, first, second = Table(("name", "rows"), [["日本", "1"], ["abcd", "2"]]).lines(80)
    assert cell_len(first) == cell_len(second) == len(second)


def test_a_cell_cannot_steer_the_terminal() -> None:
    *_, line = Table(("name", "rows"), [["a\x1b]0;x\x07\nb", "1"]]).lines(80)
    assert line == "a\\x1b]0;x\\x07\\nb     1"
