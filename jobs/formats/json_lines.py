"""JSON Lines: bytes into numbered lines, and a line into an object, with everything that can be wrong with it as JSON.

Holds no more than one line, and of a line that is too long only its beginning. What an object may hold is bounded so that
every later writer can write it back as it was given: its depth, and its integers. Knows no field by name.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

MAX_ROW_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 100
"""Objects and arrays within each other. orjson reads 1,024, but writes 254, and a published row wraps what was given."""

_BOM: Final = b"\xef\xbb\xbf"
_HELD_BYTES: Final = MAX_ROW_BYTES + len(_BOM) + len(b"\r\n") + 1
_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER: Final = b"0" * 19
"""As many digits as an integer beyond 64 bits has at least. A table and a search take a sixth of a pattern's time."""

_DEEP: Final = f"more than {MAX_DEPTH} objects and arrays stand within each other"
_LONG: Final = "an integer does not fit into 64 bits: write it as text"


class Finding(NamedTuple):
    """One thing that is wrong: a code of `errors.CODES`, the path of the field at fault if one is, and a sentence."""

    code: str
    field: str | None
    message: str


def numbered_lines(source: Iterable[bytes] | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line as it stands, and its number from 1; without a byte order mark.

    `source` is a binary file, or yields lines. A line that comes out longer than MAX_ROW_BYTES may lack its rest.
    """
    lines = _read(source) if hasattr(source, "readline") else source
    for number, raw in enumerate(lines, start=1):
        yield number, raw.removeprefix(_BOM) if number == 1 else raw


def numbered(source: Iterable[bytes] | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The same lines but for blank ones, each without its end."""
    for number, line in numbered_lines(source):
        if len(line) > MAX_ROW_BYTES + len(b"\r\n"):
            yield number, line  # blank or not: what is not held cannot be known
        elif line.strip():
            yield number, line.rstrip(b"\r\n")


def read_object(raw: bytes) -> dict[str, Any] | Finding:
    """The object that a line holds, or why it holds none that can be kept."""
    if len(raw) > MAX_ROW_BYTES:
        return Finding("row_too_large", None, "the line is longer than 1 MiB: shorten it, or split the row")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8"
        return Finding("not_utf8", None, message)
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"{error.msg} at character {error.pos + 1}: each line is one JSON object"
        return Finding("not_json", None, message)
    if not isinstance(values, dict):
        return Finding("not_an_object", None, "the line is JSON, but not an object in braces")
    return _too_deep(raw, values) or _too_long(raw) or values


def read_value(text: str) -> Any:
    """The value that a text holds as JSON, or why it cannot be kept. Raises ValueError when it is not JSON."""
    value = orjson.loads(text)
    said = read_object(b'{"value":%b}' % text.encode())
    return said if isinstance(said, Finding) else value


def unkept(values: Mapping[str, Any]) -> Finding | None:
    """Which of these, that were not read from JSON, cannot be kept as it."""
    for name, value in values.items():
        if _deeper(value, MAX_DEPTH - 1):
            return Finding("out_of_range", name, _DEEP)
        if _has_too_long(value):
            return Finding("out_of_range", name, _LONG)
    return None


def _read(file: Any) -> Iterator[bytes]:
    """The lines of a file; what a line has beyond the held bytes is read in pieces, and dropped."""
    while raw := file.readline(_HELD_BYTES):
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_HELD_BYTES)
        yield raw


def _too_deep(raw: bytes, values: dict[str, Any]) -> Finding | None:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:  # no line of fewer brackets can be deeper
        return None
    for name, value in values.items():
        if _deeper(value, MAX_DEPTH - 1):
            return Finding("out_of_range", name, _DEEP)
    return None


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def _too_long(raw: bytes) -> Finding | None:
    """An integer beyond 64 bits, which orjson would silently round to a float."""
    if _LONG_NUMBER not in raw.translate(_AS_ZEROS):
        return None
    for name, value in json.loads(raw, parse_int=_Integer).items():
        if _has_too_long(value):
            return Finding("out_of_range", name, _LONG)
    return None


class _Integer(str):
    """An integer in its digits, however many."""

    __slots__ = ()

    @property
    def too_long(self) -> bool:
        return len(self) > 20 or not -(1 << 63) <= int(self) < 1 << 64


def _has_too_long(value: Any) -> bool:
    if isinstance(value, _Integer):
        return value.too_long
    if isinstance(value, int):
        return not -(1 << 63) <= value < 1 << 64
    if not isinstance(value, dict | list):
        return False
    return any(_has_too_long(one) for one in (value.values() if isinstance(value, dict) else value))
