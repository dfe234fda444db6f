"""Reads the scalars of a YAML text with their places, and writes a text as a scalar in the style of another.

The events of PyYAML are read, never its tree, so that no alias is expanded and no nesting fills the stack.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import regex
import yaml

MAX_DEPTH: Final = 200
"""Maps and lists may be nested this deep."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Final[Any] = yaml.SafeLoader("")
_PLAIN: Final = regex.compile(r"[\p{L}\p{N}_(/][^\x00-\x1f\x7f\u0085\u2028\u2029]*+", regex.V1)
_RISKY: Final = regex.compile(r":(?:\s|$)|\s#|[\[\]{},]|\s$")
_PROPERTIES: Final = regex.compile(r"(?:[&!]\S*+\s++)++")
"""Matches the anchor and the tag before a plain value."""

_HEADER: Final = regex.compile(r"[|>][^\n]*+\n?")


class Broken(ValueError):
    """A text is not valid YAML. `line` is where reading it stopped, counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value in a YAML text: its path of keys and numbers, its text, place, style (as in PyYAML) and line."""

    path: tuple[str | int, ...]
    value: str
    start: int
    end: int
    style: str | None
    line: int
    is_text: bool
    """Whether it is a string, and no number, date, truth value or null."""
    is_alone: bool = True
    """Whether it has no anchor, which others may repeat, and no tag."""


def scalars(text: str) -> Iterator[Scalar]:
    """Yield the values of a YAML text, without keys.

    Raises:
        Broken: The text is not valid, holds several documents, or nests deeper than MAX_DEPTH.
    """
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    try:
        yield from _values(events, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(f"it is not valid YAML: {error.problem or error.context}", _within(mark, text)) from None
    except Broken:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Broken(f"it is not valid YAML: {str(error).splitlines()[0]}", 1) from None


def _values(events: Iterator[Any], text: str) -> Iterator[Scalar]:
    path, documents = _Path(), 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Broken("it holds several YAML documents", _line(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(path.keys) >= MAX_DEPTH:
                raise Broken(f"it is nested more than {MAX_DEPTH} deep", _line(event))
            path.begin(None)
            path.open(is_map=isinstance(event, yaml.MappingStartEvent))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            path.close()
        elif isinstance(event, yaml.AliasEvent):
            path.begin(None)
            path.end()
        elif isinstance(event, yaml.ScalarEvent) and not path.begin(event.value):
            yield _scalar(event, text, tuple(path.keys))
            path.end()


def _within(mark: Any, text: str) -> int:
    """Return the line of a mark, which may lie behind the last line."""
    return min(int(mark.line) + 1, len(text.splitlines()) or 1) if mark else 1


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Path:
    """The path to the node that comes: for each open map its key, for each open list a number."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self._awaits: list[str] = []

    def open(self, *, is_map: bool) -> None:
        self.keys.append("" if is_map else -1)
        self._awaits.append("key" if is_map else "item")

    def close(self) -> None:
        self.keys.pop()
        self._awaits.pop()
        self.end()

    def begin(self, scalar: str | None) -> bool:
        """Begin a node. Returns whether it is a key, which a scalar may be; a map or list as a key counts as an empty one."""
        awaits = self._awaits[-1] if self._awaits else ""
        if awaits == "item":
            self.keys[-1] += 1
        elif awaits == "key":
            self.keys[-1] = scalar or ""
            self._awaits[-1] = "value" if scalar is not None else "end of key"
            return scalar is not None
        return False

    def end(self) -> None:
        """End a node that is not a key as a scalar."""
        awaits = self._awaits[-1] if self._awaits else ""
        if awaits in ("value", "end of key"):
            self._awaits[-1] = "key" if awaits == "value" else "value"


def _scalar(event: Any, text: str, path: tuple[str | int, ...]) -> Scalar:
    start, end = event.start_mark.index, event.end_mark.index
    tag = event.tag
    if tag is None:
        tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
    if event.style in ("|", ">") or event.style in ('"', "'"):
        start = text.index(event.style, start)
    elif match := _PROPERTIES.match(text, start, end):
        start = match.end()
    is_text = tag == "tag:yaml.org,2002:str" and bool(event.value)
    return Scalar(path, event.value, start, end, event.style, _line(event), is_text, event.anchor is None)


def written(text: str, like: Scalar, raw: str) -> str:
    """Return a text as a scalar in the style of another, whose source is `raw`. A style that cannot hold it becomes double
    quotes.
    """
    if like.style == "'" and "\n" not in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if like.style in ("|", ">"):
        block = _block(text, raw)
        if block is not None:
            return block
    is_plain = not like.style and _PLAIN.fullmatch(text) and not _RISKY.search(text)
    if is_plain and _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)) == "tag:yaml.org,2002:str":
        return text
    made = json.dumps(text, ensure_ascii=False)
    quoted = "".join(_escaped(one) for one in made)
    return quoted + (_end_of(raw) if like.style in ("|", ">") else "")


def _escaped(sign: str) -> str:
    """Return a character as double quotes of YAML may hold it."""
    code = ord(sign)
    if sign.isprintable() or sign in " \u00a0\u3000\u202f\u2009\u200d\u200c\u200e\u200f\u00ad":
        return sign if code != 0xFEFF else "\\uFEFF"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _end_of(raw: str) -> str:
    stripped = raw.rstrip("\r\n ")
    return raw[len(stripped) :]


def _block(text: str, raw: str) -> str | None:
    """Return a text as a block scalar with the header and indentation of `raw`; None if a block cannot hold it."""
    header = _HEADER.match(raw)
    body = raw[header.end() :] if header else ""
    first = next((line for line in body.splitlines() if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" "))]
    wanted = text.rstrip("\n")
    if not header or not indent or any(one.isdigit() for one in header[0].split("#")[0]) or not wanted.strip():
        return None
    if wanted[:1].isspace() or not all(one.isprintable() or one in "\n\t" for one in wanted):
        return None
    end = "\r\n" if "\r\n" in body else "\n"
    lines = wanted.split("\n")
    if header[0][0] == ">":
        if any(line[:1].isspace() for line in lines):
            return None
        lines = [part for n, line in enumerate(lines) for part in ([line] if not n else ["", line])]
    return header[0] + end.join(indent + line if line else "" for line in lines) + _end_of(raw)
