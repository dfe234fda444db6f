"""Shows jobs/formats/json_lines.py: bytes into lines, and lines into objects that can be written back."""

import io
import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats.json_lines import MAX_DEPTH, MAX_ROW_BYTES, Finding, numbered, read_object, read_value, unkept

BOM = b"\xef\xbb\xbf"
FULL = b"{}".ljust(MAX_ROW_BYTES)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(BOM, [], id="mark only"),
        pytest.param(b"a\nb\n", [(1, b"a"), (2, b"b")], id="lines"),
        pytest.param(b"a\nb", [(1, b"a"), (2, b"b")], id="no last end"),
        pytest.param(b"a\r\nb\r\n", [(1, b"a"), (2, b"b")], id="crlf"),
        pytest.param(b"\n \t\r\na\n\n", [(3, b"a")], id="blank lines count and are skipped"),
        pytest.param(BOM + b"a\n" + BOM + b"b\n", [(1, b"a"), (2, b"b")], id="files put together"),
        pytest.param(BOM + b"{}" + BOM + b"{}\n{}", [(1, b"{}"), (1, b"{}"), (2, b"{}")], id="without a line end"),
        pytest.param(b'{"a": "}%b{"}\n' % BOM, [(1, b'{"a": "}%b{"}' % BOM)], id="a mark within a text"),
        pytest.param(BOM + FULL + b"\r\nb\n", [(1, FULL), (2, b"b")], id="as long as may be"),
    ],
)
def test_a_file_in_lines(data: bytes, lines: list[tuple[int, bytes]]) -> None:
    assert list(numbered(io.BytesIO(data))) == lines
    assert list(numbered(data.splitlines(keepends=True))) == lines
    assert list(numbered(data.split(b"\n"))) == lines


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(FULL + b"x", id="by one byte"),
        pytest.param(BOM + FULL + b"x", id="by one byte behind a mark"),
        pytest.param(FULL + b"\r\r\rx", id="behind what looks like an end"),
        pytest.param(b" " * (2 * MAX_ROW_BYTES) + b"{}", id="behind what looks blank"),
        pytest.param(b"x" * (3 * MAX_ROW_BYTES), id="by far"),
    ],
)
def test_a_line_that_is_too_long_is_never_taken_for_its_beginning(line: bytes) -> None:
    (number, held), second = numbered(io.BytesIO(line + b"\nb\n"))
    found = read_object(held)
    assert isinstance(found, Finding)
    assert (number, found.code) == (1, "row_too_large")
    assert second == (2, b"b")


class LongLine(io.RawIOBase):
    """One line of 200 MiB, which is made while it is read, and then a short line."""

    left = 200 << 20

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0
        part = min(size, self.left)
        self.left -= part
        return b"x" * part + (b"\n" if part and not self.left else b"")


def test_a_line_that_is_too_long_is_not_held() -> None:
    tracemalloc.start()
    (_, held), *rest = numbered(LongLine())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(held) < 2 * MAX_ROW_BYTES, rest) == (True, [])
    assert most < 8 * MAX_ROW_BYTES


def nested(levels: int) -> bytes:
    """An object in which `levels` objects and arrays stand within each other, itself included."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        pytest.param(b"{", "not_json", None, id="not json"),
        pytest.param(b'{"a": NaN}', "not_json", None, id="nan"),
        pytest.param(b'{"a": -Infinity}', "not_json", None, id="infinity"),
        pytest.param(b'{"a": "\\ud800"}', "not_json", None, id="half of a surrogate pair"),
        pytest.param(nested(1_100), "not_json", None, id="deeper than can be read"),
        pytest.param(b"5", "not_an_object", None, id="number"),
        pytest.param(b'{"a":"\xff"}', "not_utf8", None, id="not utf-8"),
        pytest.param(nested(MAX_DEPTH + 1), "out_of_range", "a", id="too deep"),
        pytest.param(b'{"b":1,"a":[{"c":18446744073709551616}]}', "out_of_range", "a", id="beyond unsigned 64 bits"),
        pytest.param(b'{"a":-9223372036854775809}', "out_of_range", "a", id="beyond signed 64 bits"),
        pytest.param(b'{"a":1,"a":18446744073709551616}', "out_of_range", "a", id="the last of two of one name"),
        pytest.param(b'{"a":' + b"9" * 300 + b"}", "out_of_range", "a", id="300 digits"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", "not_json", None, id="infinite as a float"),
    ],
)
def test_what_no_line_may_hold(raw: bytes, code: str, field: str | None) -> None:
    found = read_object(raw)
    assert isinstance(found, Finding)
    assert (found.code, found.field) == (code, field)
    assert found.message


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(nested(MAX_DEPTH), id="as deep as may be"),
        pytest.param(b'{"a":[' + b"[]," * 200 + b"[]]}", id="wide"),
        pytest.param(b'{"a":18446744073709551615,"b":-9223372036854775808}', id="as large as may be"),
        pytest.param(b'{"a":"123456789012345678901234567890"}', id="digits in a text"),
        pytest.param(b'{"a":0.12345678901234568,"b":-1.5}', id="fractions"),
        pytest.param(b'{"a":1.2345678901234568e+30}', id="a large float"),
        pytest.param('{"a":"\U0001f600 1234567890123456789"}'.encode(), id="an emoji beside digits"),
    ],
)
def test_what_a_line_holds_is_written_back_as_it_was(raw: bytes) -> None:
    values: Any = read_object(raw)
    assert orjson.loads(orjson.dumps({"wrapped": [values]})) == {"wrapped": [values]}
    assert orjson.dumps(values) == raw


def test_a_long_integer_that_is_not_kept_is_a_key_twice() -> None:
    found = read_object(b'{"a":18446744073709551616,"a":1}')
    assert isinstance(found, Finding)
    assert (found.code, found.field) == ("duplicate_key", "a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a": [1]}', {"a": [1]}, id="an object"),
        pytest.param("9" * 19, int("9" * 19), id="64 bits"),
        pytest.param("9" * 20, "out_of_range", id="more than 64 bits"),
        pytest.param("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), None, id="as deep as may be"),
        pytest.param("[" * MAX_DEPTH + "]" * MAX_DEPTH, "out_of_range", id="too deep"),
        pytest.param("[" * 300 + "]" * 300, "out_of_range", id="deeper than can be written"),
    ],
)
def test_a_value_that_a_row_may_hold_by_itself(text: str, value: Any) -> None:
    """`read_value` gets the value as text, and `unkept` gets it as the value of a column. Both have the same result."""
    read = read_value(text)
    found = unkept({"name": orjson.loads(text) if len(text) != 20 else int(text)})
    if value == "out_of_range":
        assert isinstance(read, Finding)
        assert found == Finding(value, "name", read.message)
    else:
        assert found is None
        assert read == (orjson.loads(text) if value is None else value)


@pytest.mark.parametrize("text", ["calm", '1,"seed":2', '1}, {"a": 1', "", "[" * 2_000])
def test_a_text_that_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1|empty|unexpected"):
        read_value(text)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param('{"a": 1, "a": 1}', "a", id="with the same value"),
        pytest.param('{"a": 1, "b": 2, "a" \t: null}', "a", id="apart, with blanks"),
        pytest.param('{"a": 1, "\\u0061": 2}', "a", id="written in two ways"),
        pytest.param('{"": 1, "": 2}', "", id="empty"),
        pytest.param('{"x": {"a": 1, "a": 2}}', "x.a", id="within an object"),
        pytest.param('{"x": [0, {"b": 0}, [{"a": 1, "a": 2}]]}', "x.2.0.a", id="within a list"),
        pytest.param('{"x": {"a": 1, "a": 2}, "x": 5}', "x.a", id="within a value that is not kept"),
        pytest.param('{"x": {"a": 1}, "x": {"b": 2}}', "x", id="objects, which are not put together"),
        pytest.param('{"a": "\\":", "b.c": 2, "b.c": 3}', "b.c", id="beside what looks like a key in a text"),
        pytest.param('{"a\\\\": 1, "b": 2, "b": 3}', "b", id="beside a key that ends in a backslash"),
        pytest.param('{"a\\\\\\"": 1, "a\\\\\\"": 2}', 'a\\"', id="with a quote behind a backslash"),
        pytest.param('{"n": 1, "n": %s}' % ("9" * 18), "n", id="numbers"),
        pytest.param('{"n": 0.%s, "n": 1}' % ("9" * 5000), "n", id="a number of many digits"),
        pytest.param('{"a": %s, "a": 1}' % ("[" * 1000 + "]" * 1000), None, id="a deep value that is not kept"),
    ],
)
def test_a_key_that_an_object_has_twice_is_named(line: str, field: str | None) -> None:
    found = read_object(line.encode())
    assert isinstance(found, Finding)
    assert (found.code, found.field) == ("duplicate_key", field)
    assert "twice" in found.message


@pytest.mark.parametrize(
    "line",
    [
        '{"a": {"a": {"a": 1}}}',
        '{"a": [{"a": 1}, {"a": 2}]}',
        '{"a": "\\"a\\": 1, \\"a\\": 2", "b": "\\":"}',
        '{"a": 1, "A": 2, "a ": 3}',
        '{"a": "\\\\", "b": ":"}',
    ],
)
def test_keys_of_several_objects_and_texts_with_colons_are_not_twice(line: str) -> None:
    assert read_object(line.encode()) == orjson.loads(line)


KEYS = st.sampled_from(['"a"', '"\\u0061"', '"a:"', '"a\\":"', '"\\\\"', '":"', '""', '"\\u0022:"'])
COLONS = st.sampled_from([":", " :", ": ", "\t:"])
TEXTS = st.sampled_from(["1", "null", '":"', '"\\":"', '"\\\\"', '"a:\\":\\\\"', "[]", "{}"])


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, COLONS, values).map("".join), max_size=3)
    return pairs.map(lambda members: "{" + ",".join(members) + "}")


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(lambda items: "[" + ",".join(items) + "]")


@given(objects(st.recursive(TEXTS, lambda values: objects(values) | lists(values), max_leaves=6)))
def test_an_object_is_refused_exactly_if_one_of_its_objects_has_a_key_twice(line: str) -> None:
    seen_twice = []
    json.loads(line, object_pairs_hook=lambda pairs: seen_twice.append(len(dict(pairs)) < len(pairs)))
    found = read_object(line.encode())
    assert (found.code if isinstance(found, Finding) else None) == ("duplicate_key" if any(seen_twice) else None)


def test_a_value_has_no_key_twice_either() -> None:
    found = read_value('{"a": 1, "a": 2}')
    assert isinstance(found, Finding)
    assert found.field == "value.a"
