"""Tests jobs/exchange/formulas.py: no spreadsheet program finds a formula in our CSV, wherever it splits the lines."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.exchange.formulas import FORMULA, RESULT_COLUMNS, SIGNS, CsvWriter, escaped, guarded, is_ours, unguarded

TEXTS = st.text(max_size=30) | st.text("'=+-@\t\r\n;,\"＝−a ", max_size=12)  # noqa: RUF001

LEFT_OUT = "".join(map(chr, range(0x20)))
"""Characters that a program may leave out at the beginning of a cell."""


def written(*rows: list[Any]) -> str:
    target = io.StringIO(newline="")
    writer = CsvWriter(target)
    for row in rows:
        writer.write(row)
    return target.getvalue()


@given(TEXTS)
def test_guards_are_taken_off_again(cell: str) -> None:
    assert not guarded(cell).startswith(FORMULA)
    assert unguarded(guarded(cell)) == cell


@given(st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_no_cell_begins_a_formula_wherever_a_program_splits(
    cells: list[str], delimiter: str, knows_quotes: bool
) -> None:
    """Some programs stop to heed quotes where they expect another delimiter, so quotes may also be plain characters."""
    text = written(cells)
    lines = (
        csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        if knows_quotes
        else [line.split(delimiter) for line in text.replace("\r", "\n").split("\n")]
    )
    for split in lines:
        for n, cell in enumerate(split if knows_quotes or delimiter != "," else split[:1]):
            begin = cell if knows_quotes else cell.lstrip('"') if n else cell.removeprefix('"')
            assert not begin.lstrip(LEFT_OUT).startswith(SIGNS), text


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        pytest.param("=1+1", "'=1+1", id="equals"),
        pytest.param("+1", "'+1", id="plus"),
        pytest.param("-1", "'-1", id="minus in a text"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("\t=1", "'\t'=1", id="tab"),
        pytest.param("\r=1", "'\r'=1", id="carriage return"),
        pytest.param("\n=1", "'\n'=1", id="line feed"),
        pytest.param("\r\n\r\n=1", "'\r\n\r\n'=1", id="empty lines"),
        pytest.param("\x00=1", "'\x00=1", id="a character that programs leave out"),
        pytest.param("＝1", "'＝1", id="equals in full width"),  # noqa: RUF001
        pytest.param("＋1", "'＋1", id="plus in full width"),  # noqa: RUF001
        pytest.param("－1", "'－1", id="minus in full width"),  # noqa: RUF001
        pytest.param("＠A", "'＠A", id="at in full width"),  # noqa: RUF001
        pytest.param("﹦1", "'﹦1", id="a small form"),
        pytest.param("−1", "'−1", id="the sign of minus"),  # noqa: RUF001
        pytest.param("a;=1", "a;'=1", id="after a semicolon"),
        pytest.param('a";=cmd|x', "a\";'=cmd|x", id="after a quote and a semicolon"),
        pytest.param("a;;+1;b;@c", "a;;'+1;b;'@c", id="after several semicolons"),
        pytest.param("a\n-2+3", "a\n'-2+3", id="in the second line"),
        pytest.param("a\t＝1", "a\t'＝1", id="after a tab"),  # noqa: RUF001
        pytest.param("'=1", "''=1", id="a guard that the text has itself"),
        pytest.param("a;'=1", "a;''=1", id="a guard that the text has itself, within"),
        pytest.param("a;\x01=1", "a;'\x01=1", id="after a semicolon and a character that programs leave out"),
        pytest.param('a;"=1', "a;'\"=1", id="after a semicolon and a quote"),
        pytest.param("a - b = c @ d", "a - b = c @ d", id="signs in a sentence"),
        pytest.param("a\n\nb\tc;d", "a\n\nb\tc;d", id="paragraphs"),
        pytest.param("'quoted'", "'quoted'", id="an apostrophe before a word"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_cell_is_guarded_where_a_formula_would_begin(cell: str, safe: str) -> None:
    assert guarded(cell) == safe
    assert unguarded(safe) == cell


@given(st.lists(TEXTS, max_size=4))
def test_cells_are_guarded_together_as_each_by_itself(cells: list[str]) -> None:
    assert list(escaped(cells)) == [guarded(cell).replace('"', '""') for cell in cells]


def test_all_cells_are_quoted_and_numbers_stay_numbers() -> None:
    assert written(["=a", -5, -0.25, 7, True, None, 'b"']) == '"\'=a","-5","-0.25","7","true","","b"""\r\n'


def test_only_our_own_results_have_guards_within_cells() -> None:
    """A program's text in somebody's file may well have a line that begins with '@."""
    code = "import x from\n'@scope/x';'-'"
    assert unguarded(code, ours=False) == code
    assert unguarded(guarded(code), ours=True) == code
    assert is_ours([*RESULT_COLUMNS, "output.title"])
    assert not is_ours(["custom_id", "text"])
    assert not is_ours([])
