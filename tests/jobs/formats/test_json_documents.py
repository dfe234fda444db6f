"""Shows jobs/formats/json_documents.py: arrays, and objects over several lines, are cut into rows. The places where pieces of
the file end do not matter.
"""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.formats import json_documents
from jobs.formats.json_documents import are_documents, documents
from jobs.formats.json_lines import BOM, MAX_ROW_BYTES
from jobs.formats.source import InputLimits, InputReader

VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(st.sampled_from('{}[],:"\\ \n\u00e9a'), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('{"\\a', max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text('}"\\b', max_size=3), VALUES, max_size=3), max_size=5)


def cut(data: bytes, piece: int = json_documents.READ_BYTES) -> list[tuple[int, bytes]]:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(piece, size or piece))

    return list(documents(Slow(data)))


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans(), st.integers(1, 9))
def test_the_rows_are_those_that_were_written(rows: list[Any], indent: int | None, in_array: bool, piece: int) -> None:
    if in_array:
        text = json.dumps(rows, indent=indent, ensure_ascii=False)
    else:
        text = "\n".join(json.dumps(row, indent=indent, ensure_ascii=False) for row in rows)
    found = cut(text.encode(), piece)
    assert [json.loads(raw) for _, raw in found] == rows
    lines = text.split("\n")
    assert all("{" in lines[number - 1] for number, _ in found)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(b"[]", [], id="an empty array"),
        pytest.param(b'[{"a": 1}]\n[{"b": 2}]\n', [(1, b'{"a": 1}'), (2, b'{"b": 2}')], id="arrays put together"),
        pytest.param(BOM + b"[{}]\n" + BOM + b"[{}]", [(1, b"{}"), (2, b"{}")], id="with their marks"),
        pytest.param(b'[{},\n"x",\n{}]', [(1, b"{}"), (2, b'"x"'), (3, b"{}")], id="a text among objects"),
        pytest.param(b"[{}, [1], {}]", [(1, b"{}"), (1, b"[1]"), (1, b"{}")], id="an array among objects"),
        pytest.param(b"{\n}\n oops {\n}", [(1, b"{\n}"), (3, b"oops"), (3, b"{\n}")], id="words among objects"),
        pytest.param(b"{\n}\n]{\n}", [(1, b"{\n}"), (3, b"]"), (3, b"{\n}")], id="a bracket too many"),
        pytest.param(b'\x1e{\n}\n\x1e{"a":"\\\\"}', [(1, b"{\n}"), (3, b'{"a":"\\\\"}')], id="a JSON text sequence"),
    ],
)
def test_what_stands_between_rows(data: bytes, rows: list[tuple[int, bytes]]) -> None:
    for piece in (1, 3, 1 << 16):
        assert cut(data, piece) == rows


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b'[{"a": 1},\n{"b": ', "value that begins in line 2", id="within a row"),
        pytest.param(b'[{"a": 1},\n{"b": 2}', "array is never closed", id="after a row"),
        pytest.param(b'{\n "a": "x}\n}\n', "value that begins in line 1", id="a quote that is missing"),
        pytest.param(b'[{"a": 1}, " , {"b": 2}]', "array is never closed", id="a quote between rows"),
    ],
)
def test_a_file_that_is_cut_off_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        cut(data)


def test_a_row_that_is_too_long_is_not_held() -> None:
    big = b'{"a": "' + b"x" * (3 * MAX_ROW_BYTES) + b'"}'
    (_, first), (_, second) = cut(b"[" + big + b",{}]")
    assert (len(first), second) == (MAX_ROW_BYTES + 1, b"{}")


def test_the_rows_of_an_array_have_the_limit_of_an_input() -> None:
    limits = InputLimits("a.json", layers=1, ratio=1, bytes=999, rows=2, line_bytes=1 << 21)
    assert len(list(documents(InputReader(io.BytesIO(b"[{},{}]").read, limits)))) == 2
    with pytest.raises(
        RequestError, match=r"a\.json: it has more than 2 rows: split it, or raise the setting input_rows"
    ):
        list(documents(InputReader(io.BytesIO(b"[{},{},{}]").read, limits)))


@pytest.mark.parametrize(
    ("head", "are"),
    [
        pytest.param(b'[{"a": 1}', True, id="an array"),
        pytest.param(BOM + b"\n[\n", True, id="an array, with a mark"),
        pytest.param(b'{\n  "a": 1\n}', True, id="over lines"),
        pytest.param(b'{"a": 1,\n "b": [\n]}\n{"a": 2}', True, id="over lines, not indented"),
        pytest.param(b'{\n "a": "' + b"x" * 99, True, id="longer than what was read"),
        pytest.param(b'{"a": 1}\n{"a": 2}', False, id="lines"),
        pytest.param(b'{\n{"a": 1}\n', False, id="a broken line first"),
        pytest.param(b'{"a": "b\n{"a": 1}\n', False, id="a quote that is missing"),
        pytest.param(b"[1]\n{}", False, id="an array of numbers"),
    ],
)
def test_which_files_are_documents(head: bytes, are: bool) -> None:
    assert are_documents(head) is are
