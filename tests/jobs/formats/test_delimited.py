"""Shows jobs/formats/delimited.py: headers, quotes and lines are read, and rows that were written as CSV are read back."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.exchange.formulas import FORMULA, CsvWriter
from jobs.formats import delimited
from jobs.formats.headers import DELIMITERS
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding


class TextAndList:
    """The fields of these tests: a text and a list."""

    known = frozenset({"text", "list"})

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        del name
        return {"text": {"type": "string"}, "list": {"type": "array", "items": {"type": "string"}}}

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        del columns, kind
        return "The fields are text and list"


def read(text: str) -> list[tuple[int, Any]]:
    found = delimited.records(io.BytesIO(text.encode()), TextAndList())
    return [
        (record.line, record.values.code if isinstance(record.values, Finding) else record.values) for record in found
    ]


def test_quoted_cells_hold_delimiters_quotes_and_lines() -> None:
    text = 'text,list\r\n"a, ""b""\r\n\r\nc",x\r\nd,"y"\r\n'
    assert read(text) == [(2, {"text": 'a, "b"\r\n\r\nc', "list": ["x"]}), (5, {"text": "d", "list": ["y"]})]


def test_a_quote_within_a_cell_opens_nothing() -> None:
    assert read('text,list\na 5" pipe,x\nb,y\n') == [
        (2, {"text": 'a 5" pipe', "list": ["x"]}),
        (3, {"text": "b", "list": ["y"]}),
    ]


@pytest.mark.parametrize(
    "following",
    [
        pytest.param('b,"y"\n', id="before a quoted cell"),
        pytest.param('"b",y\n', id="before a quoted cell at the beginning"),
        pytest.param("b,y\n" * 3, id="at the end of the file"),
        pytest.param("b,y\n" * (MAX_ROW_BYTES // 4 + 2), id="with more behind it than a row may have"),
    ],
)
def test_a_quote_that_is_never_closed_fails_its_own_line(following: str) -> None:
    found = read(f'text,list\na,"x\n{following}')
    assert found[0] == (2, "not_csv")
    assert [values for _, values in found[1:]] == [{"text": "b", "list": ["y"]}] * following.count("\n")


def test_many_quotes_that_are_never_closed_fail_their_own_lines() -> None:
    rows = 3_000
    found = read("text,list\n" + 'a,"x\n' * rows)
    assert [values for _, values in found] == ["not_csv"] * rows


def test_a_bad_line_at_the_beginning_spoils_no_other() -> None:
    lines = ["text,list", "a", "caf\xe9", "caf\xe9", "d\xe9j\xe0"]
    data = b"\n".join(line.encode("cp1252" if n in (2, 4) else "utf-8") for n, line in enumerate(lines))
    found = [record.values for record in delimited.records(io.BytesIO(data), TextAndList())]
    assert found == [{"text": text} for text in lines[1:]]


def test_a_header_is_one_line() -> None:
    with pytest.raises(RequestError, match="opens a quote that it does not close"):
        read('text,"li\nst"\na,b\n')


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(DELIMITERS))
def test_rows_that_are_written_are_read_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "custom"])
    writer.writerows([[f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell for cell in row] for row in rows])
    found = read(target.getvalue())
    assert [values for _, values in found] == [{"text": text, "custom": custom} for text, custom in rows]


def test_guards_within_cells_are_taken_off_in_a_file_to_correct_alone() -> None:
    code = "a\n'@scope/x';=1"
    target = io.StringIO(newline="")
    writer = CsvWriter(target)
    writer.write(["nightpress_error", "text"])
    writer.write(["wrong", code])
    assert [values for _, values in read(target.getvalue())] == [{"text": code}]
    assert [values for _, values in read(f'text\n"{code}"\n')] == [{"text": code}]
