"""Reads `.strings` of Apple: pairs of `"key" = "value";` with comments. The value is the segment, the comment its context."""

from collections.abc import Iterator
from typing import Final

import regex

from jobs.documents.document import Piece
from jobs.documents.message import message_piece
from jobs.documents.source import Source

_STRING: Final = r"\"(?:[^\"\\]|\\.)*+\""
_PAIR: Final = regex.compile(rf"({_STRING}|[\w.-]++)\s*+=\s*+({_STRING})\s*+;", regex.DOTALL)
_BETWEEN: Final = regex.compile(r"(?:\s++|/\*.*?\*/|//[^\n\r]*+)*+", regex.DOTALL)
_COMMENT: Final = regex.compile(r"/\*+(.*?)\*+/|//([^\n\r]*+)", regex.DOTALL)
_ESCAPE: Final = regex.compile(r"\\(?:U([0-9A-Fa-f]{4})|([0-7]{3})|(.))", regex.DOTALL)
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "b": "\b", "a": "\a", "v": "\v"}
_LONG: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_NONE: Final = "no comment provided by engineer."


class AppleStringsFormat:
    """The format `strings`."""

    name = "strings"
    suffixes = (".strings",)
    holds_languages = False

    def detect(self, head: str) -> bool:
        return _PAIR.match(head, _end_of_blanks(head, 0)) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        text, position, seen, line = source.text(), 0, dict[str, int](), 1
        while (start := _end_of_blanks(text, position)) < len(text):
            match = _PAIR.match(text, start)
            line += text.count("\n", position, start)
            if match is None:
                raise source.error('a pair of the form "key" = "value"; is expected here', "mend it", line)
            key = _value(match[1].strip('"'))
            seen[key] = seen.get(key, 0) + 1
            comments = [(one[1] or one[2] or "").strip() for one in _COMMENT.finditer(text[position:start])]
            context = comments[-1] if comments and comments[-1].lower() != _NONE else ""
            name = key if seen[key] == 1 else f"{key}#{seen[key]}"
            value = _value(match[2][1:-1])
            yield text[position : match.start(2)]
            yield message_piece(match[2], name, value, source.options, _written, line, context)
            yield text[match.end(2) : match.end()]
            line += text.count("\n", start, match.end())
            position = match.end()
        yield text[position:]


def _end_of_blanks(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position


def _value(raw: str) -> str:
    return _ESCAPE.sub(
        lambda one: chr(int(one[1], 16)) if one[1] else chr(int(one[2], 8)) if one[2] else _SHORT.get(one[3], one[3]),
        raw,
    )


def _written(text: str) -> str:
    return f'"{"".join(_LONG.get(sign, sign) for sign in text)}"'
