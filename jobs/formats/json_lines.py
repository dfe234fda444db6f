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

from jobs.errors import RequestError
from jobs.formats.source import InputLimits, limits_of

MAX_ROW_BYTES: Final = 1 << 20
"""The most bytes of a line, without its line end. A longer line is refused."""
MAX_DEPTH: Final = 100
"""At most this many objects and arrays may stand within each other. orjson can write 254 levels, and a published row puts a few
levels around the values of its row.
"""

BLANK_LINES: Final = 1_000_000
"""An input may always have this many blank lines. If it has more, at most nine tenths of its lines may be blank."""

EXACT: Final = 1 << 53
"""From this absolute value on, a number with a decimal point or an exponent may stand for several integers."""

BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8. It stands at the beginning of a file, and so at the joint of files that were put together."""
_JOINT: Final = re.compile(rb"(?<=\})\s*\xef\xbb\xbf\s*(?=\{)")
_HELD_BYTES: Final = MAX_ROW_BYTES + len(BOM) + len(b"\r\n") + 1
_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER: Final = b"0" * 19
"""As many zeros as the shortest integer beyond 64 bits has digits. To find such integers, all digits of a line are turned into
zeros, and the line is searched for this text. That takes a sixth of the time of a regular expression.
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

    `source` is a binary file, or yields lines. A yielded line that is longer than MAX_ROW_BYTES may be cut short. Raises
    RequestError if an input passes its limits of lines or of the length of a line.
    """
    limits = limits_of(source)
    lines = _read(source, limits) if hasattr(source, "readline") else source
    blank = 0
    for number, raw in enumerate(lines, start=1):
        if limits is not None and number > limits.rows:
            raise limits.passed("input_rows", f"has more than {limits.rows:,} lines", "split it")
        if len(raw) <= len(b"\r\n") and raw.isspace():
            blank += 1
            if limits is not None and blank > BLANK_LINES and blank > number // 10 * 9:
                raise RequestError(
                    f"{limits.name}: nine tenths of its first {number:,} lines are blank: take them out; nothing was accepted"
                )
        yield number, raw.removeprefix(BOM)


def numbered(source: Iterable[bytes] | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each without its line end and with its number in the file."""
    for number, line in numbered_lines(source):
        if len(line) > MAX_ROW_BYTES + len(b"\r\n"):
            yield number, line  # the line may be blank, but the rest of it is not in memory
        elif line and not line.isspace():
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
    return False  # the mark stands in a text


def read_object(raw: bytes) -> dict[str, Any] | Finding:
    """Return the object that a line holds, or a finding that says why it is refused."""
    if len(raw) > MAX_ROW_BYTES:
        return Finding("row_too_large", None, "the line is longer than 1 MiB: shorten it, or split the row")
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _not_utf8(raw) or Finding(
            "not_json", None, f"{error.msg} at character {error.pos + 1}: each line is one JSON object"
        )
    if not isinstance(values, dict):
        return Finding("not_an_object", None, "the line is JSON, but not an object in braces")
    return _too_deep(raw, values) or _too_long(raw) or _twice(raw, values) or values


def is_object(text: str | bytes) -> bool:
    """Whether a text is a JSON object, even one that is refused as a row."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def read_value(text: str) -> Any:
    """Return the value that a JSON text holds, or a finding that says why the value is refused.

    Raises ValueError if the text is not JSON.
    """
    value = orjson.loads(text)
    found = read_object(b'{"value":%b}' % text.encode())
    return found if isinstance(found, Finding) else value


def as_integer(value: Any) -> Any:
    """Return a float such as 300.0 or 3e2 as an integer, if it stands for exactly one integer. Return any other value
    unchanged.
    """
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def unkept(values: Mapping[str, Any]) -> Finding | None:
    """Return a finding on the first value that cannot be written as JSON; None if all values can.

    It checks the values of formats other than JSON.
    """
    for name, value in values.items():
        if _deeper(value, MAX_DEPTH - 1):
            return Finding("out_of_range", name, _DEEP)
        if _has_too_long(value):
            return Finding("out_of_range", name, _LONG)
    return None


def _read(file: Any, limits: InputLimits | None) -> Iterator[bytes]:
    """Yield the lines of a file, each cut after `_HELD_BYTES`. The rest of a longer line is read in pieces and dropped."""
    while raw := file.readline(_HELD_BYTES):
        rest, length = raw, len(raw)
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_HELD_BYTES)
            length += len(rest)
            if limits is not None and length > limits.line_bytes:
                longer = f"has a line of more than {limits.line_bytes:,} bytes"
                raise limits.passed("input_line_bytes", longer, "write each row on a line of its own")
        yield raw


def _not_utf8(raw: bytes) -> Finding | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8"
        return Finding("not_utf8", None, message)
    return None


def _too_deep(raw: bytes, values: dict[str, Any]) -> Finding | None:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:  # a line with so few brackets cannot be too deep
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
    """Return a finding on the first integer beyond 64 bits; None if there is none.

    orjson rounds such an integer to a float when it reads, and refuses to write such an integer.
    """
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
    """Return a finding on a key that an object has twice; None if there is none. orjson reads the last value of such a key, and
    raises no error.

    Each key is followed by a colon. So no key is there twice if the line has as many colons as `values` has keys. Texts may have
    colons too: then the string ends before colons are counted.
    """
    keys = _keys(values)
    if raw.count(b":") == keys:
        return None
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    if len(_COLON.findall(plain)) == keys:
        return None
    try:
        path = _path_of_twice(json.loads(raw, object_pairs_hook=_Pairs, parse_int=float))
    except RecursionError:  # a deep value is in the line; `values` lacks it, because its key comes again later
        return Finding("duplicate_key", None, "an object has a key twice: remove one of them")
    if path is None:
        return None
    return Finding("duplicate_key", ".".join(path), f"the object has the key {path[-1]!r} twice: remove one of them")


def _keys(values: dict[str, Any]) -> int:
    """Return the number of keys of an object and of all objects within it."""
    keys = 0
    waiting: list[Any] = [values]
    for value in waiting:  # it grows while it is read
        inner = value
        if type(value) is dict:
            keys += len(value)
            inner = value.values()
        for one in inner:
            if type(one) is dict or type(one) is list:
                waiting.append(one)
    return keys


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
