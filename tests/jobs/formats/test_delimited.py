"""Shows jobs/formats/delimited.py: cells, quotes, types, and that what is written is read again."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats import delimited
from jobs.json_lines import MAX_ROW_BYTES, Finding


class AnyField:
    """Fields of every type that a cell can have."""

    known = frozenset({"text", "whole", "real", "truth", "list", "numbers", "object", "either", "metadata"})

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        del name
        return {
            "text": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "whole": {"type": "integer"},
            "real": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "truth": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string"}},
            "numbers": {"type": "array", "items": {"type": "integer"}},
            "object": {"type": "object"},
            "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "metadata": {"type": "object"},
        }


def read(text: str) -> list[tuple[int, Any]]:
    found = delimited.records(io.BytesIO(text.encode()), AnyField())
    return [
        (record.line, record.values.code if isinstance(record.values, Finding) else record.values) for record in found
    ]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        pytest.param("text", " a ", " a ", id="text as it stands"),
        pytest.param("text", "007", "007", id="text of digits"),
        pytest.param("text", "'=SUM(A1)", "=SUM(A1)", id="a formula that was made safe"),
        pytest.param("text", "'tis", "'tis", id="an apostrophe of one's own"),
        pytest.param("whole", " 12 ", 12, id="integer"),
        pytest.param("whole", "12.0", 12, id="integer as some programs write it"),
        pytest.param("whole", "-999999999999999999", -999999999999999999, id="integer of many digits"),
        pytest.param("whole", "12.5", "12.5", id="no integer"),
        pytest.param("real", "0.7", 0.7, id="number"),
        pytest.param("real", ".5e-1", 0.05, id="number in powers of ten"),
        pytest.param("real", "0;7", "0;7", id="no number"),
        pytest.param("truth", "TRUE", True, id="true"),
        pytest.param("truth", "no", False, id="false"),
        pytest.param("truth", "perhaps", "perhaps", id="no truth"),
        pytest.param("list", "a| b |c||", ["a", "b", "c"], id="list"),
        pytest.param("list", '["a|b", "c"]', ["a|b", "c"], id="list as json"),
        pytest.param("list", "[a]|b", ["[a]", "b"], id="a list that only looks like json"),
        pytest.param("numbers", "1|2", [1, 2], id="list of numbers"),
        pytest.param("object", '{"a": [1]}', {"a": [1]}, id="object"),
        pytest.param("object", "{a}", "{a}", id="no object"),
        pytest.param("either", "x|y", "x|y", id="text where a list may stand"),
        pytest.param("either", '["x"]', ["x"], id="list where a text may stand"),
    ],
)
def test_a_cell_is_read_by_the_type_of_its_field(column: str, cell: str, value: Any) -> None:
    target = io.StringIO()
    csv.writer(target).writerows([[column, "text" if column != "text" else "whole"], [cell, ""]])
    assert read(target.getvalue()) == [(2, {column: value})]


def test_a_decimal_comma_where_commas_part_no_cells() -> None:
    assert read("real;text\n0,7;a\n") == [(2, {"real": 0.7, "text": "a"})]
    assert read('real,text\n"0,7",a\n') == [(2, {"real": "0,7", "text": "a"})]


def test_metadata_by_its_names() -> None:
    assert read("text,metadata.campaign,metadata.no\na,spring,7\nb,,\n") == [
        (2, {"text": "a", "metadata": {"campaign": "spring", "no": "7"}}),
        (3, {"text": "b"}),
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
def test_a_quote_that_is_never_closed_costs_its_own_line(following: str) -> None:
    found = read(f'text,list\na,"x\n{following}')
    assert found[0] == (2, "not_csv")
    assert [values for _, values in found[1:]] == [{"text": "b", "list": ["y"]}] * following.count("\n")


def test_many_quotes_that_are_never_closed_cost_no_more_than_their_lines() -> None:
    rows = 3_000
    found = read("text,list\n" + 'a,"x\n' * rows)
    assert [values for _, values in found] == ["not_csv"] * rows


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(delimited.DELIMITERS))
def test_what_is_written_is_read_again(rows: list[tuple[str, str]], delimiter: str) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "custom"])
    writer.writerows([[delimited.guarded(cell) for cell in row] for row in rows])
    found = read(target.getvalue())
    assert [values for _, values in found] == [{"text": text, "custom": custom} for text, custom in rows]


@given(CELLS)
def test_no_cell_that_is_made_safe_begins_a_formula(cell: str) -> None:
    safe = delimited.guarded(cell)
    assert not safe.startswith(delimited.FORMULA)
    assert delimited.unguarded(safe) == cell
