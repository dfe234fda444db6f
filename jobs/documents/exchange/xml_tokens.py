"""Cuts a text in XML into tokens by the positions of expat, the standard library's parser. Joined, the tokens are the text again.

Entities that a text declares itself are refused, so that none is expanded, and so is deep nesting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.parsers import expat

Sort = Literal["opens", "closes", "text", "cdata", "comment", "other"]

MAX_DEPTH: Final = 200
"""Elements may be nested this deep."""


class NotXml(ValueError):
    """A text is not valid XML, or has what is refused. `line` is where reading it stopped, counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its sort, its source, its line, and for an element its name and attributes. `<x/>` is two tokens, of which the
    one that closes has no source.
    """

    sort: Sort
    raw: str
    line: int
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.found: list[tuple[int, Sort, int, str, Mapping[str, str]]] = []
        self._depth = 0
        self._in_cdata = False
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartCdataSectionHandler = self._cdata
        self._parser.EndCdataSectionHandler = self._end_of_cdata
        self._parser.CommentHandler = lambda data: self._add("comment")
        self._parser.ProcessingInstructionHandler = lambda target, data: self._add("other")
        self._parser.StartDoctypeDeclHandler = lambda *about: self._add("other")
        self._parser.EntityDeclHandler = self._entity
        self._parser.DefaultHandler = self._default
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise NotXml(f"it is not valid XML: {expat.errors.messages[error.code]}", error.lineno) from None

    def _add(self, sort: Sort, name: str = "", attributes: Mapping[str, str] | None = None) -> None:
        position = self._parser.CurrentByteIndex
        self.found.append((position, sort, self._parser.CurrentLineNumber, name, attributes or {}))

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotXml(f"it is nested more than {MAX_DEPTH} deep", self._parser.CurrentLineNumber)
        self._add("opens", name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._add("closes", name)

    def _text(self, data: str) -> None:
        if not self._in_cdata:
            self._add("text")

    def _cdata(self) -> None:
        self._in_cdata = True
        self._add("cdata")

    def _end_of_cdata(self) -> None:
        self._in_cdata = False

    def _entity(self, *about: object) -> None:
        raise NotXml("it declares entities, which are not read", self._parser.CurrentLineNumber)

    def _default(self, data: str) -> None:
        if not self._in_cdata:
            self._add("other")


def xml_tokens(text: str) -> list[Token]:
    """Return the tokens of a text.

    Raises:
        NotXml: The text is not valid, declares entities, or is nested deeper than MAX_DEPTH.
    """
    data = text.encode()
    found = _Reader(data).found
    made: list[Token] = []
    if not found or found[0][0]:
        made.append(Token("other", data[: found[0][0] if found else None].decode(), 1))
    for n, (start, sort, line, name, attributes) in enumerate(found):
        end = found[n + 1][0] if n + 1 < len(found) else len(data)
        made.append(Token(sort, data[start:end].decode(), line, name, attributes))
    return made
