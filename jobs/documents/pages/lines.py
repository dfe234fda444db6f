"""Finds the lines of a paragraph that mean something by standing alone, in what sites write beyond CommonMark.

CommonMark reads the head of an admonition (`!!! note "Title"`, `> [!NOTE]`, `:::tip`), a definition (`: text`) and a line of a
template (`{% if x %}`) as words of the paragraph around them. Joined with its neighbours such a line would lose its meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import regex

Event = tuple[str, str, Any, int, int]
"""An event of the parser: Start, End or empty; its name; its data; the bytes where it starts and ends."""

_ALONE: Final = regex.compile(
    r"\[![A-Za-z]{3,20}\][-+]?|:{3,}[^\n]*+|\{\{[<%][^\n]*[%>]\}\}|\{%[^\n]*%\}|===[!+]?[ \t]+\"[^\"\n]*+\""
    r"|(?:!!!|\?\?\?\+?|///?)[ \t]+[\w -]{1,80}+(?:\"[^\"\n]*+\"[^\n]*+)?"
)
_TITLE: Final = regex.compile(r"(?:!!!|\?\?\?\+?|===[!+]?)[ \t]+[\w -]{0,80}+\"([^\"\n]++)\"")
_DEFINITION: Final = regex.compile(r":[ \t]++")


@dataclass(frozen=True, slots=True)
class Title:
    """The title in quotes of an admonition, in `data[start:end]`."""

    start: int
    end: int


def parts(run: list[Event], data: bytes) -> Iterator[list[Event] | Title]:
    """Yield the parts of a run of inline elements that are translated by themselves: the whole run, unless lines stand alone."""
    held: list[Event] = []
    for gap, line in _lines(run):
        start = line[0][3]
        text = data[start : max(one[4] for one in line)].decode()
        is_escaped = data[start - 1 : start] == b"\\"
        if not is_escaped and _ALONE.fullmatch(text.rstrip()):
            if held:
                yield held
            held = []
            if title := _TITLE.match(text):
                at = start + len(text[: title.start(1)].encode())
                yield Title(at, at + len(title[1].encode()))
        elif gap and not is_escaped and line[0][1] == "Text" and (mark := _DEFINITION.match(line[0][2])):
            if held:
                yield held
            sort, name, words, start, end = line[0]
            held = [(sort, name, words[mark.end() :], start + len(mark[0].encode()), end), *line[1:]]
        else:
            if held and gap:
                held.append(gap)
            held += line
    if held:
        yield held


def _lines(run: list[Event]) -> Iterator[tuple[Event | None, list[Event]]]:
    """Yield the lines of a run, each with the line break before it. An element over several lines keeps them together."""
    line: list[Event] = []
    gap: Event | None = None
    depth = 0
    for event in run:
        depth += {"Start": 1, "End": -1}.get(event[0], 0)
        if event[1] == "SoftBreak" and not depth and line:
            yield gap, line
            gap, line = event, []
        else:
            line.append(event)
    if line:
        yield gap, line
