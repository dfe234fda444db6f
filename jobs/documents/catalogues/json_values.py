"""Finds the strings of a JSON text with their places and paths, without building what the text means.

The standard library's parser does not tell places, and a nested text would fill its stack.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import regex

MAX_DEPTH: Final = 200
"""Objects and lists may be nested this deep."""

TOKEN: Final = regex.compile(
    r"[ \t\r\n]*+(?:(?P<string>\"(?:[^\"\\\x00-\x1f]++|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))*+\")|(?P<sign>[{}\[\]:,])"
    r"|(?P<other>-?\d[\d.eE+-]*+|true|false|null))"
)


class NotJson(ValueError):
    """A text is not valid JSON. `position` is where reading it stopped."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Value:
    """A string in a JSON text: the path of keys and numbers to it, its text and its place with quotes, and the place of its key.
    In a list the key has the place of the string.
    """

    path: tuple[str | int, ...]
    text: str
    start: int
    end: int
    key_start: int
    key_end: int


@dataclass(slots=True)
class _Open:
    is_object: bool
    key: Any
    awaits: str
    place: tuple[int, int] | None = None


def values(text: str) -> Iterator[Value]:
    """Yield the strings that are values, not keys, in the order of the text.

    Raises:
        NotJson: The text is not one valid JSON value, or is nested deeper than MAX_DEPTH.
    """
    opened: list[_Open] = []
    position, is_done = 0, False
    while (match := TOKEN.match(text, position)) is not None:
        start = match.start(match.lastgroup or 0)
        position = match.end()
        if is_done:
            raise NotJson("something stands behind the end", start)
        if match["sign"] and match["sign"] in ",:":
            _between(opened[-1] if opened else None, match["sign"], start)
        elif match["sign"] and match["sign"] in "}]":
            _close(opened, match["sign"], start)
            is_done = not opened
        elif opened and opened[-1].is_object and opened[-1].awaits in ("first", "key"):
            _take_key(opened[-1], match["string"], start, position)
        elif match["sign"]:
            _begin(opened, start)
            opened.append(_Open(match["sign"] == "{", "" if match["sign"] == "{" else -1, "first"))
        else:
            _begin(opened, start)
            if match["string"]:
                place = opened[-1].place if opened else None
                path = tuple(one.key for one in opened)
                yield Value(path, json.loads(match["string"]), start, position, *(place or (start, start)))
            is_done = _ended(opened)
    if text[position:].strip(" \t\r\n"):
        raise NotJson("a value is not valid", position)
    if not is_done:
        raise NotJson("the end is missing", len(text))


def _close(opened: list[_Open], sign: str, start: int) -> None:
    """End an object or a list."""
    if not opened or (sign == "}") != opened[-1].is_object or opened[-1].awaits not in ("comma", "first"):
        raise NotJson(f"{sign!r} stands where it may not", start)
    opened.pop()
    _ended(opened)


def _take_key(top: _Open, string: str | None, start: int, end: int) -> None:
    if string is None:
        raise NotJson("a key in quotes is missing", start)
    top.key, top.awaits, top.place = json.loads(string), "colon", (start, end)


def _begin(opened: list[_Open], start: int) -> None:
    """Begin a value."""
    if not opened:
        return
    top = opened[-1]
    if top.awaits not in (("value",) if top.is_object else ("first", "value")):
        raise NotJson("a comma or colon is missing", start)
    if len(opened) >= MAX_DEPTH:
        raise NotJson(f"it is nested more than {MAX_DEPTH} deep", start)
    if not top.is_object:
        top.key += 1


def _between(top: _Open | None, sign: str, start: int) -> None:
    """Take in a comma or colon."""
    if top is None or top.awaits != ("comma" if sign == "," else "colon"):
        raise NotJson(f"{sign!r} stands where it may not", start)
    top.awaits = "value" if sign == ":" or not top.is_object else "key"


def _ended(opened: list[_Open]) -> bool:
    """End a value. Returns whether it was the whole text."""
    if opened:
        opened[-1].awaits = "comma"
    return not opened


def pointer(path: tuple[str | int, ...]) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)
