"""Reads the inline elements of a block of Markdown into a text with marks, and writes a translation of it that reads the same."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final

import pyromark
import regex

from jobs.documents.document import Segment
from jobs.marks.building import Builder
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_kept
from jobs.marks.mark import Mark, Role

_O: Final = pyromark.Options
OPTIONS: Final = (
    _O.ENABLE_TABLES
    | _O.ENABLE_FOOTNOTES
    | _O.ENABLE_STRIKETHROUGH
    | _O.ENABLE_TASKLISTS
    | _O.ENABLE_YAML_STYLE_METADATA_BLOCKS
    | _O.ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
    | _O.ENABLE_HEADING_ATTRIBUTES
    | _O.ENABLE_MATH
)
"""The extensions of CommonMark that are read: those of GitHub, front matter, footnotes, attributes of headings, and formulas."""

_WIDE: Final = regex.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]")
_SYNTAX: Final = regex.compile(r"([\\`*_\[\]<>&|~$#])")
_BLOCK: Final = regex.compile(r"(?:[-+:=](?=\s|[-=:]|$)|(?<=^\d{1,9})[.)])")
_NUMBER: Final = regex.compile(r"(\d{1,9})([.)])(?=\s|$)")
_WHOLE: Final = frozenset(("Autolink", "Email"))
_BY_LABEL: Final = frozenset(("Shortcut", "ShortcutUnknown", "Collapsed", "CollapsedUnknown"))


@dataclass
class Inline:
    """The inline elements of a block in `data[start:end]`, read into `built`."""

    data: bytes
    start: int
    end: int
    built: Builder = field(default_factory=Builder)

    def read(self, run: list[tuple[str, str, Any, int, int]]) -> None:
        """Read the events of a run: sort, name, data, start and end of each."""
        at, n, opened = self.start, 0, list[tuple[Any, int]]()
        while n < len(run):
            sort, name, data, start, end = run[n]
            if sort == "End":
                self.built.keep(self._closing(name, data, at, end, opened.pop()), Role.CLOSES)
                at = end
            elif sort == "Start":
                closing = _closing_of(run, n)
                self._gap(at, start)
                if closing == n + 1 or (name == "Link" and data["link_type"] in _WHOLE):
                    self.built.keep(self._raw(start, end))
                    at, n = end, closing
                else:
                    width = self._width(name, start, run[n + 1][3])
                    self.built.keep(self._raw(start, start + width), Role.OPENS)
                    opened.append((data, start))
                    at = start + width
            else:
                at = self._leaf(run, n, at)
            n += 1

    def _raw(self, start: int, end: int) -> str:
        return self.data[start:end].decode()

    def _width(self, name: str, start: int, inner: int) -> int:
        """Return the length of the mark that opens an element whose first inner element starts at `inner`."""
        if name == "Strikethrough":
            return 2 if self.data[start : start + 2] == b"~~" else 1
        return {"Emphasis": 1, "Strong": 2, "Link": 1, "Image": 2}[name]

    def _gap(self, start: int, end: int) -> None:
        """Take in what stands between two elements: the backslash of an escape, or what the parser left out."""
        if end > start and (raw := self._raw(start, end)).strip(" \t"):
            self.built.keep(raw)
        elif end > start and not self.data[end : end + 2].startswith((b"\n", b"\r\n")):
            self.built.add(" ")

    def _closing(self, name: str, data: Any, at: int, end: int, opening: tuple[Any, int]) -> str:
        """Return the mark that closes an element. A link whose label is its text gets the label in brackets of its own."""
        mark = self._raw(at, end)
        link, start = opening
        if isinstance(link, Mapping) and link.get("link_type") in _BY_LABEL:
            whole = self._raw(start, end).removesuffix("[]")
            return f"]{whole.removeprefix('!')}"
        return mark

    def _leaf(self, run: list[tuple[str, str, Any, int, int]], n: int, at: int) -> int:
        """Take in an element without others in it. Returns the position behind it."""
        _, name, data, start, end = run[n]
        raw = self._raw(start, end)
        if name == "SoftBreak":
            following = run[n + 1][3] if n + 1 < len(run) else end
            while following > end and self.data[following - 1 : following] == b"\\":
                following -= 1
            after = self.data[following : min(following + 4, self.end)].decode(errors="ignore")
            self._gap(at, start)
            if not (_WIDE.match(after) and _WIDE.search(self.built.text[-1:])):
                self.built.add(" ")
            return following
        if name == "HardBreak":
            following = run[n + 1][3] if n + 1 < len(run) else end
            while following > end and self.data[following - 1 : following] == b"\\":
                following -= 1
            self._gap(at, start)
            self.built.keep(self._raw(start, following))
            return following
        if name == "Text" and start > at and self.data[at:start] == b"\\":
            size = len(data[:1].encode())
            self.built.keep(self._raw(at, start + size))
            self.built.add(self._raw(start + size, end))
        elif name == "Text":
            self._gap(at, start)
            if raw != data and raw.startswith("&"):
                self.built.add_reference(raw, keeps="<>&\\`*_[]|~$#\"'!(){}:")
            elif raw == data:
                self.built.add(raw)
            else:
                self.built.keep(raw)
        else:
            self._gap(at, start)
            self.built.keep(raw, _role_of(run, n) if name == "InlineHtml" else Role.ALONE)
        return end


_TAG_NAME: Final = regex.compile(r"</?([A-Za-z][\w.:-]*+)")


def _role_of(run: list[tuple[str, str, Any, int, int]], n: int) -> Role:
    """Return the role of a tag: whether its partner stands in the same run, at the same depth of the other elements."""
    tag = run[n][2]
    match = _TAG_NAME.match(tag)
    if match is None or tag.endswith("/>"):
        return Role.ALONE
    closes = tag.startswith("</")
    depth = inner = 0
    for other in reversed(run[:n]) if closes else run[n + 1 :]:
        inner += {"Start": 1, "End": -1}.get(other[0], 0) * (-1 if closes else 1)
        if inner < 0:
            return Role.ALONE
        if other[1] == "InlineHtml" and (found := _TAG_NAME.match(other[2])) and found[1] == match[1]:
            is_partner = other[2].startswith("</") != closes
            if is_partner and not depth:
                return Role.ALONE if inner else Role.CLOSES if closes else Role.OPENS
            depth += -1 if is_partner else 1
    return Role.ALONE


def _closing_of(run: list[tuple[str, str, Any, int, int]], n: int) -> int:
    depth = 0
    for k in range(n, len(run)):
        depth += {"Start": 1, "End": -1}.get(run[k][0], 0)
        if not depth:
            return k
    return len(run) - 1


class Known:
    """The labels of the references that a page defines."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._labels = frozenset(" ".join(label.split()).lower() for label in labels)

    def resolve(self, link: Mapping[str, Any]) -> tuple[str, str] | None:
        """Resolve a reference, as the page that defines it would."""
        return ("#", "") if " ".join(link["reference"].split()).lower() in self._labels else None


def shape(text: str, known: Known, *, is_line: bool) -> tuple[Counter[str], str] | None:
    """Return the elements of a text that reads as one paragraph (or heading, for `is_line`), and its words; None for others."""
    found: Counter[str] = Counter()
    words, blocks = [], []
    events: Iterator[Any] = pyromark.events(
        ("# " if is_line else "") + text, options=OPTIONS, broken_link_callback=known.resolve
    )
    for event in events:
        if isinstance(event, str):
            found[event if event != "SoftBreak" else ""] += 1
            words.append(" " if event in ("SoftBreak", "HardBreak") else "")
            continue
        (key, value), *_ = event.items()
        if key == "Text":
            words.append(value)
        elif key == "Start":
            name = value if isinstance(value, str) else next(iter(value))
            if name in ("Paragraph", "Heading"):
                blocks.append(name)
            elif name in ("Emphasis", "Strong", "Strikethrough", "Link", "Image"):
                found[name + (str(value["Link"]["dest_url"]) if name == "Link" else "")] += 1
            else:
                return None
        elif key != "End":
            found[f"{key}{value}"] += 1
    found.pop("", None)
    return (found, " ".join("".join(words).split())) if len(blocks) == 1 else None


def write_inline(
    text: str, segment: Segment, parsed: frozenset[str], known: Known, *, is_line: bool, is_cell: bool
) -> str:
    """Return a translation as Markdown that has the elements of its source and no others.

    Args:
        text: The translation, with the marks of its source.
        segment: The segment that it translates.
        parsed: The texts of the marks that the parser found; the other marks are words to it.
        known: The references of the page.
        is_line: Whether the block is one line, in which signs of blocks have no meaning.
        is_cell: Whether the block is a cell of a table.

    Raises:
        Damaged: The translation lost a mark, or cannot be written so that it reads as one block with the same elements.
    """
    parts = [
        part if isinstance(part, Mark) else regex.sub(r"\s*\n\s*", " ", part)
        for part in check_kept(text, segment.marks)
    ]
    if is_cell:
        parts = [part.replace("|", r"\|") if isinstance(part, str) else part for part in parts]
    wanted = shape(segment.text, known, is_line=is_line)
    words = "".join(_shown(part, parsed) for part in parts)
    if is_cell:
        words = words.replace(r"\|", "|")
    expected = " ".join(words.split())
    if not expected:
        raise Damaged("the translation is empty")
    for escaped in (False, True):
        made = "".join(
            part.text
            if isinstance(part, Mark)
            else _escaped(part, is_first=not n, is_cell=is_cell)
            if escaped
            else part
            for n, part in enumerate(parts)
        ).strip()
        found = shape(made, known, is_line=is_line)
        if found is None or wanted is None:
            if wanted is None and escaped:
                return made
            continue
        if found[0] == wanted[0] and (escaped or _plain(found[1]) == _plain(expected)):
            return made
    raise Damaged("it would not read as one block with the emphasis, links and code of its source")


def _plain(words: str) -> list[str]:
    """Return the characters of words in their alphabetical order: of two signs alike, either may count as the mark."""
    return sorted("".join(words.split()))


def _shown(part: str | Mark, parsed: frozenset[str]) -> str:
    """Return the words that a reader sees of a part."""
    if isinstance(part, str):
        return part
    if part.text.startswith("\\") and len(part.text) == 2:
        return part.text[1]
    if part.text.startswith("&"):
        return unescape(part.text)
    return "" if part.text in parsed else unescape(part.text).replace("\\", "")


def _escaped(words: str, *, is_first: bool, is_cell: bool) -> str:
    """Return words in which no character means more than itself."""
    if is_cell:
        words = words.replace(r"\|", "|")
    made = _SYNTAX.sub(r"\\\1", words)
    if is_first:
        made = _NUMBER.sub(r"\1\\\2", made, count=1) if _NUMBER.match(made) else made
        made = "\\" + made if made[:1] in ("-", "+", "=", ":") and made[1:2] in ("", " ", "-", "=") else made
    return made
