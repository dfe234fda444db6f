"""JSON Lines: this module splits bytes into numbered lines and reads a line as an object, or says what is wrong with it.

This module holds one line at a time, and only the beginning of a line that is too long. The depth and the integers of an object
are bounded, so that every later writer can write the object as it was given. This module knows no field by name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

import orjson
from pydantic_core import from_json

MAX_ROW_BYTES: Final = 1 << 20
"""Bytes. A line that is longer, without its line end, is refused."""
MAX_DEPTH: Final = 100
"""At most this many objects and arrays may stand within each other. orjson writes only 254, and a published row adds some."""

EXACT: Final = 1 << 53
"""A number with a decimal point or an exponent may stand for several integers if its absolute value is this or more."""

BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8. It stands at the beginning of a file, and so at the joint of files that were put together."""
_JOINT: Final = re.compile(rb"(?<=\})\s*\xef\xbb\xbf\s*(?=\{)")
_HELD_BYTES: Final = MAX_ROW_BYTES + len(BOM) + len(b"\r\n") + 1
_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER: Final = b"0" * 19
"""An integer beyond 64 bits has at least as many digits as this text has zeros. All digits of a line are turned into zeros, and
this text is searched for: that takes a sixth of the time of a regular expression.
"""

_COLON: Final = re.compile(rb'"\s*:')

_DEEP: Final = f"more than {MAX_DEPTH} objects and arrays stand within each other"
_LONG: Final = "an integer does not fit into 64 bits: write it as text"


class Finding(NamedTuple):
    """A finding is one thing that is wrong: a code of `errors.CODES`, the path of the field at fault if any, and a sentence."""

    code: str
    field: str | None
    message: str


def numbered_lines(source: Iterable[bytes] | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, from 1. A byte order mark before a line is removed.

    `source` is a binary file, or yields lines. A line that comes out longer than MAX_ROW_BYTES may be cut short.
    """
    lines = _read(source) if hasattr(source, "readline") else source
    for number, raw in enumerate(lines, start=1):
        yield number, raw.removeprefix(BOM)


def numbered(source: Iterable[bytes] | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each without its line end and with its number in the file."""
    for number, line in numbered_lines(source):
        if len(line) > MAX_ROW_BYTES + len(b"\r\n"):
            yield number, line  # it may be blank, but its rest is not held
        elif line.strip():
            for part in _JOINT.split(line) if _is_joint(line) else (line,):
                yield number, part.rstrip(b"\r\n")


def _is_joint(line: bytes) -> bool:
    """Whether a file ended in this line and another began: a byte order mark stands between two objects."""
    if BOM not in line or not _JOINT.search(line):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return True
    return False  # it stands in a text


def read_object(raw: bytes) -> dict[str, Any] | Finding:
    """Return the object that a line holds, or a finding that says why it is refused."""
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
    return _too_deep(raw, values) or _too_long(raw) or _twice(raw, values) or values


def read_value(text: str) -> Any:
    """Return the value that a text holds as JSON, or a finding that says why it is refused. Raises ValueError for no JSON."""
    value = orjson.loads(text)
    found = read_object(b'{"value":%b}' % text.encode())
    return found if isinstance(found, Finding) else value


def as_integer(value: Any) -> Any:
    """Return a number such as 300.0 or 3e2 as the integer that it is exactly, and any other value unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def unkept(values: Mapping[str, Any]) -> Finding | None:
    """Return a finding on the first value that cannot be written as JSON; None if all can. It is for values of other formats."""
    for name, value in values.items():
        if _deeper(value, MAX_DEPTH - 1):
            return Finding("out_of_range", name, _DEEP)
        if _has_too_long(value):
            return Finding("out_of_range", name, _LONG)
    return None


def _read(file: Any) -> Iterator[bytes]:
    """Yield the lines of a file, each cut after `_HELD_BYTES`. The rest of a longer line is read in pieces and dropped."""
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
    """Find an integer beyond 64 bits. orjson rounds such an integer to a float when it reads, and refuses to write it."""
    if _LONG_NUMBER not in raw.translate(_AS_ZEROS):
        return None
    exact = from_json(raw)
    try:
        orjson.dumps(exact)
    except TypeError:
        return next(
            (Finding("out_of_range", name, _LONG) for name, value in exact.items() if _has_too_long(value)), None
        )
    return None


def _twice(raw: bytes, values: dict[str, Any]) -> Finding | None:
    """Find a key that an object has twice. orjson keeps the last value of such a key without a word.

    Each key is followed by a colon. So no key is there twice if the line has as many string ends before colons as `values` has
    keys.
    """
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    if len(_COLON.findall(plain)) == _keys(values):
        return None
    try:
        path = _path_of_twice(json.loads(raw, object_pairs_hook=_Pairs, parse_int=float))
    except RecursionError:  # `values` is not so deep: the deep value belongs to a key that comes again, and was dropped
        return Finding("duplicate_key", None, "an object has a key twice: remove one of them")
    if path is None:
        return None
    return Finding("duplicate_key", ".".join(path), f"the object has the key {path[-1]!r} twice: remove one of them")


def _keys(value: Any) -> int:
    """Return the number of keys of all objects within a value."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(one) for one in value.values() if isinstance(one, dict | list))
    return sum(_keys(one) for one in value if isinstance(one, dict | list))


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as the list of its pairs, so that a key can stand in it twice."""


def _path_of_twice(value: Any) -> tuple[str, ...] | None:
    """Return the path of the first key that an object within this value has twice; None if there is none."""
    seen: set[str | int] = set()
    for name, one in value if isinstance(value, _Pairs) else enumerate(value) if isinstance(value, list) else ():
        if name in seen:
            return (str(name),)
        seen.add(name)
        if (path := _path_of_twice(one)) is not None:
            return (str(name), *path)
    return None


def _has_too_long(value: Any) -> bool:
    if isinstance(value, int):
        return not -(1 << 63) <= value < 1 << 64
    if not isinstance(value, dict | list):
        return False
    return any(_has_too_long(one) for one in (value.values() if isinstance(value, dict) else value))
