"""Markup: the tags of HTML and XML, and the code, links and blocks of Markdown in a text, each with its place.

A reader's words may change in a translation; the markup around them may not. The values of attributes that a reader sees
(`alt`, `title`) count as words.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol, TypeVar

import regex

from jobs.writing.prose import FENCE

_ATTRIBUTES: Final = (
    r"(?:\s++[^\s<>\"'=/]{1,80}+(?:\s?=\s?(?:\"[^\"<]{0,2000}+\"|'[^'<]{0,2000}+'|[^\s<>\"']{1,500}+))?+){0,40}+"
)
_TAG: Final = regex.compile(
    rf"<!--(?:[^-]++|-(?!->))*+(?:-->|\Z)|<!\[CDATA\[|\]\]>|<\?[a-z][^<>]{{0,300}}+>|<!DOCTYPE[^<>]{{0,300}}+>|"
    rf"<(?P<close>/)?(?P<name>[A-Za-z0-9][\w:.-]{{0,60}}+)(?P<attributes>{_ATTRIBUTES})\s*+(?P<empty>/)?>",
    regex.IGNORECASE,
)
_SEEN: Final = regex.compile(
    r"(?<=\s(?:alt|title|label|placeholder|summary|aria-label|aria-description)\s?=\s?)(?:\"[^\"]*+\"|'[^']*+')",
    regex.IGNORECASE,
)
"""Matches the value of an attribute that a reader sees."""

_NAMES: Final = (
    "a abbr address article aside audio b base bdi bdo big blockquote body br button canvas caption center cite "
    "code col colgroup "
    "data datalist dd del details dfn dialog div dl dt em embed fieldset figcaption figure font footer form h1 h2 "
    "h3 h4 h5 h6 head "
    "header hgroup hr html i iframe img input ins kbd label legend li link main map mark menu meta meter nav "
    "noscript object ol "
    "optgroup option output p param picture pre progress q rp rt ruby s samp script section select slot small "
    "source span strike "
    "strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul "
    "var video wbr"
)
HTML: Final = frozenset(_NAMES.split())
VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
CODE: Final = frozenset(("code", "script", "style"))
"""The elements of HTML whose content is code."""

_SPAN: Final = regex.compile(r"(?<!`|\\)(`{1,8})(?!`)((?:[^`\n]|\n(?!\s*+\n)|(?!\1(?!`))`++)+?)(?<!`)\1(?!`)")
_LINK: Final = regex.compile(
    r"(?P<mark>!?)\[(?:[^\[\]\n]|\[[^\[\]\n]{0,200}\]){0,500}+\]"
    r"(?:\(\s{0,3}(?P<target><[^<>\n]{0,2000}>|(?:[^()\s]|"
    r"\([^()\s]{0,500}\)){0,2000}+)(?:\s{1,3}(?:\"[^\"\n]{0,500}\"|'[^'\n]{0,500}'))?\s{0,3}\)|"
    r"\[(?P<label>[^\[\]\n]{1,200})\])"
)
_DEFINITION: Final = regex.compile(r"^ {0,3}\[([^\[\]\n]{1,200})\]:[ \t]{0,4}(\S{1,2000}+)", regex.MULTILINE)
_BLOCK: Final = regex.compile(
    r"^[ \t]{0,12}+(#{1,6}(?=[ \t])|[-*+](?=[ \t]\S)|\d{1,9}[.)](?=[ \t]\S)|>|\|)", regex.MULTILINE
)
_EMPHASIS: Final = regex.compile(r"\*\*(?=\S)|(?<=\S)\*\*|~~(?=\S)|(?<=\S)~~")

What = Literal["tag", "code", "link", "block", "emphasis"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A piece of markup: its sort, the text by which it is compared, and its place."""

    what: What
    key: str
    start: int
    end: int
    name: str = ""
    """The name of a tag, with `/` before it for a closing tag; empty for markup that neither opens nor closes anything."""


class Placed(Protocol):
    """A finding in a text that has a start and an end."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


Found = TypeVar("Found", bound=Placed)


@lru_cache(maxsize=8)
def tags(text: str) -> tuple[Mark, ...]:
    """Return the tags of HTML and XML in a text, comments too.

    A name in angle brackets that is not an element of HTML (`<your name>`) is a tag only if it is closed, or has a colon or
    hyphen.
    """
    if "<" not in text:
        return ()
    found = list(_TAG.finditer(text))
    closed = {match["name"] for match in found if match["close"]}
    marks = []
    for match in found:
        name = match["name"]
        if name is None:
            marks.append(Mark("tag", match[0], *match.span()))
        elif name.lower() in HTML or name in closed or match["empty"] or ":" in name or "-" in name:
            opens = not match["empty"] and name.lower() not in VOID
            key = _SEEN.sub('"…"', match[0]) if match["attributes"] else match[0]
            marks.append(Mark("tag", key, *match.span(), ("/" if match["close"] else "") + name if opens else ""))
    return tuple(marks)


@lru_cache(maxsize=8)
def code(text: str) -> tuple[Mark, ...]:
    """Return the contents of the HTML elements that hold code."""
    marks: list[Mark] = []
    opening: Mark | None = None
    for tag in tags(text):
        name = tag.name.lower()
        if opening is None and name in CODE:
            opening = tag
        elif opening is not None and name == f"/{opening.name.lower()}":
            marks.append(Mark("code", text[opening.end : tag.start], opening.end, tag.start))
            opening = None
    return tuple(marks)


@lru_cache(maxsize=8)
def markdown(text: str) -> tuple[Mark, ...]:
    """Return the code, link targets, marks of blocks and emphasis of a Markdown text, in this order."""
    fences, rest = _fences(text)
    marks = list(fences)
    if "`" in rest:
        spans = list(_SPAN.finditer(rest))
        marks += [Mark("code", match[2], *match.span()) for match in spans]
        rest = blanked(rest, [match.span() for match in spans])
    if "](" in rest or "][" in rest:
        for match in _LINK.finditer(rest):
            group = "target" if match["target"] is not None else "label"
            marks.append(Mark("link", match["mark"] + match[group].strip("<>"), *match.span(group)))
    if "]:" in rest:
        marks += [Mark("link", f"[{match[1]}]: {match[2]}", *match.span(2)) for match in _DEFINITION.finditer(rest)]
    marks += [Mark("block", _block(match[1]), *match.span(1)) for match in _BLOCK.finditer(rest)]
    marks += [Mark("emphasis", match[0], *match.span()) for match in _EMPHASIS.finditer(rest)]
    return tuple(marks)


def _block(mark: str) -> str:
    return "1." if mark[0].isdigit() else "-" if mark in "*+" else mark


def _fences(text: str) -> tuple[list[Mark], str]:
    """Return the blocks of code in fences, and the text with blanks in their place."""
    if "```" not in text and "~~~" not in text:
        return [], text
    marks: list[Mark] = []
    fence, start, position = "", 0, 0
    for line in text.splitlines(keepends=True):
        opening = FENCE.match(line)
        if fence and line.strip() and set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence):
            marks.append(
                Mark("code", text[start : position + len(line)].rstrip(), start, position + len(line.rstrip()))
            )
            fence = ""
        elif not fence and opening:
            fence, start = opening[1], position
        position += len(line)
    if fence:
        marks.append(Mark("code", text[start:].rstrip(), start, len(text.rstrip())))
    return marks, blanked(text, [(mark.start, mark.end) for mark in marks])


def blanked(text: str, places: list[tuple[int, int]]) -> str:
    """Return the text with these places replaced by as many spaces, so that positions do not change. Line breaks stay."""
    parts, position = [], 0
    for start, end in sorted(places):
        if end > position:
            first = max(start, position)
            gap = text[first:end]
            parts += [text[position:first], " " * len(gap) if "\n" not in gap else regex.sub(r"[^\n]", " ", gap)]
            position = end
    return "".join([*parts, text[position:]])


def outside(found: Iterable[Found], marks: Iterable[Placed]) -> list[Found]:
    """Return the members of `found` that do not begin within a mark."""
    ends: list[tuple[int, int]] = []
    for start, end in sorted((mark.start, mark.end) for mark in marks):
        if not ends or end > ends[-1][1]:
            ends.append((start, end))
    starts = [start for start, _ in ends]
    kept = []
    for one in found:
        before = bisect_right(starts, one.start) - 1
        if before < 0 or ends[before][1] <= one.start:
            kept.append(one)
    return kept
