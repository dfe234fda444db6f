r"""Reads `.properties` of Java line by line: the value of each key is a segment, and is written in one line.

Characters are escaped (`\u00e9`) if the source is ASCII with such escapes. The format is that of java.util.Properties.
"""

from collections.abc import Iterator
from typing import Final

import regex

from jobs.documents.document import Piece
from jobs.documents.message import message_piece
from jobs.documents.source import Source

_KEY: Final = regex.compile(r"[ \t\f]*+((?:[^\\\s=:]|\\.)++)[ \t\f]*+(?:[=:][ \t\f]*+)?")
_ESCAPE: Final = regex.compile(r"\\(?:u([0-9A-Fa-f]{4})|(\r\n|\n|\r)[ \t\f]*+|(.))", regex.DOTALL)
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_LONG: Final = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}
_BOTH: Final = regex.compile(r"[\ud800-\udbff][\udc00-\udfff]")


class PropertiesFormat:
    """The format `properties`."""

    name = "properties"
    suffixes = (".properties",)
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r"(?:[#!].*\n|\s*\n)*[\w.-]{1,80}[ \t]*=[ \t]*\S", head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        seen: dict[str, int] = {}
        comment = ""
        for number, line in _logical_lines(source):
            bare = line.lstrip(" \t\f")
            match = None if bare[:1] in ("", "#", "!", "\n", "\r") else _KEY.match(line)
            if match is None:
                comment = bare[1:].strip() if bare[:1] in ("#", "!") else ""
                yield line
                continue
            body = line.rstrip("\r\n")
            raw = body[match.end() :]
            key = _value(match[1])
            seen[key] = seen.get(key, 0) + 1
            name = key if seen[key] == 1 else f"{key}#{seen[key]}"
            yield line[: match.end()]
            is_escaped = (raw.isascii() and "\\u" in raw) or not source.encoding.startswith("utf")

            def encode(text: str, is_escaped: bool = is_escaped) -> str:
                return _written(text, is_escaped=is_escaped)

            yield message_piece(raw, name, _value(raw), source.options, encode, number, comment)
            yield line[len(body) :]
            comment = ""


def _logical_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the lines, each with those that continue it: a line continues if an odd number of backslashes ends it."""
    held, first = "", 0
    for number, line in source.lines():
        first = first or number
        is_comment = not held and line.lstrip(" \t\f")[:1] in ("#", "!")
        held += line
        body = line.rstrip("\r\n")
        if body != line and (len(body) - len(body.rstrip("\\"))) % 2 and not is_comment:
            continue
        yield first, held
        held, first = "", 0
    if held:
        yield first, held


def _value(raw: str) -> str:
    """Return what a key or value means."""
    if "\\" not in raw:
        return raw
    made = _ESCAPE.sub(
        lambda one: chr(int(one[1], 16)) if one[1] else "" if one[2] else _SHORT.get(one[3], one[3]), raw
    )
    return _BOTH.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), made)


def _written(text: str, *, is_escaped: bool) -> str:
    made = "".join(_LONG.get(sign, sign) for sign in text)
    if made.startswith(" "):
        made = f"\\{made}"
    if not is_escaped:
        return made
    units = (made[n : n + 1] for n in range(len(made)))
    return "".join(one if one.isascii() else _units(one) for one in units)


def _units(sign: str) -> str:
    data = sign.encode("utf-16-be")
    return "".join(f"\\u{data[n]:02x}{data[n + 1]:02x}" for n in range(0, len(data), 2))
