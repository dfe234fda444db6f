"""Cuts a page in HTML into tokens by the positions of the standard library's parser. Joined, the tokens are the page again."""

from bisect import bisect_right
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final, Literal

import regex

Sort = Literal["opens", "closes", "empty", "text", "reference", "other"]

VOID: Final = frozenset(
    ("area base basefont br col embed frame hr img input keygen link meta param source track wbr").split()  # noqa: SIM905 - words read better in a row
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its sort, its text, its place, and for a tag the name of its element in lower case."""

    sort: Sort
    text: str
    start: int
    name: str = ""


class _Reader(HTMLParser):
    """Records where each token starts. Character references stay apart from text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.starts: list[tuple[int, Sort, str]] = []
        self._lines = [0, *(match.end() for match in regex.finditer("\n", text))]
        self.feed(text)
        self.close()

    def _found(self, sort: Sort, name: str = "") -> None:
        line, column = self.getpos()
        self.starts.append((self._lines[line - 1] + column, sort, name))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._found("empty" if tag in VOID else "opens", tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self._found("empty", tag)

    def handle_endtag(self, tag: str) -> None:
        self._found("closes", tag)

    def handle_data(self, data: str) -> None:
        self._found("text")

    def handle_entityref(self, name: str) -> None:
        self._found("reference")

    def handle_charref(self, name: str) -> None:
        self._found("reference")

    def handle_comment(self, data: str) -> None:
        self._found("other")

    def handle_decl(self, decl: str) -> None:
        self._found("other")

    def handle_pi(self, data: str) -> None:
        self._found("other")

    def unknown_decl(self, data: str) -> None:
        self._found("other")


_REFERENCE: Final = regex.compile(r"&(?:[A-Za-z][A-Za-z0-9]{0,31}+|#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+);?")


def tokens(text: str) -> list[Token]:
    """Return the tokens of a page. Their texts, joined, are the page.

    The parser may report a construct that never ends as text; no character is lost by that, since each token reaches to the
    start of the next.
    """
    found = _Reader(text).starts
    starts: list[tuple[int, Sort, str]] = []
    for one in found:
        if not starts or one[0] > starts[-1][0]:
            starts.append(one)
    if not starts or starts[0][0] > 0:
        starts.insert(0, (0, "text", ""))
    made: list[Token] = []
    for n, (start, sort, name) in enumerate(starts):
        end = starts[n + 1][0] if n + 1 < len(starts) else len(text)
        made += _split(Token(sort, text[start:end], start, name))
    return [one for one in made if one.text]


def _split(token: Token) -> list[Token]:
    """Return a token without what does not belong to it: text behind a reference, or a tag that was not read to its end."""
    if token.sort == "reference":
        match = _REFERENCE.match(token.text)
        end = match.end() if match else 0
        parts = [Token("reference", token.text[:end], token.start)] if end else []
        return [*parts, Token("text", token.text[end:], token.start + end)]
    if token.sort in ("opens", "closes", "empty") and not token.text.endswith(">"):
        return [Token("other", token.text, token.start)]
    return [token]


def line_of(starts: list[int], position: int) -> int:
    """Return the line of a position, counted from 1, by the starts of all lines."""
    return bisect_right(starts, position)


def line_starts(text: str) -> list[int]:
    """Return the starts of the lines of a text."""
    return [0, *(match.end() for match in regex.finditer("\n", text))]
