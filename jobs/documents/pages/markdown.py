"""Reads pages in Markdown: paragraphs, headings, items, cells and the fields of front matter are segments.

pyromark (pulldown-cmark) tells where each element stands in the bytes of the source. Code, links, references, comments,
directives and the marks of blocks stay as they are. The lines of a paragraph count as one text, and a translated paragraph
is written in one line. Blocks of HTML are read as pages in HTML (`html.py`). A translation is taken only if it reads as one
paragraph with the emphasis, links and code of its source; characters that would mean more than themselves are escaped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import pyromark
import regex

from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.pages.front_matter import front_matter_pieces
from jobs.documents.pages.html import Page
from jobs.documents.pages.inline import OPTIONS, Inline, Known, write_inline
from jobs.documents.source import Source
from jobs.marks.building import Builder, has_words, trimmed
from jobs.marks.mark import Mark

_INLINE_STARTS: Final = frozenset(("Emphasis", "Strong", "Strikethrough", "Link", "Image"))
_INLINE: Final = frozenset(
    ("Text", "Code", "InlineMath", "DisplayMath", "InlineHtml", "FootnoteReference", "SoftBreak", "HardBreak")
)
_FENCED: Final = frozenset(("CodeBlock", "MetadataBlock", "HtmlBlock"))
_KINDS: Final = {
    "Heading": "heading",
    "TableCell": "cell",
    "Item": "item",
    "FootnoteDefinition": "footnote",
    "DefinitionListTitle": "term",
    "DefinitionListDefinition": "definition",
}
_DIRECTIVE: Final = regex.compile(
    r":::.*+|\[\[[^\[\]\n]{1,200}+\]\]|\{:[^{}\n]{1,200}+\}|\[![A-Z]{3,12}\]|^\[[ xX]\](?= )"
    r"|\{[#.][^{}\n]{1,120}+\}|https?://[^\s<>\"\\]*+(?:\\[^\s][^\s<>\"\\]*+)++"
    r"|\[\^[^\[\]\s]{1,60}+\]|\]\((?:[^()\s]{1,500}+\))?",
    regex.MULTILINE,
)
"""Matches what sites write beyond CommonMark: containers, wiki links, attributes, notes, and addresses with escapes."""

_MDX: Final = regex.compile(
    r"(?:import\s[^\n]*?\bfrom\s*['\"]|import\s*['\"]|export\s+(?:default|const|function|let|var)\b)"
)
_WIDE: Final = regex.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]")


def name_of(event: Any) -> tuple[str, str, Any]:
    """Return the three parts of an event of the parser: Start, End or empty; its name; its data."""
    if isinstance(event, str):
        return "", event, None
    (key, value), *_ = event.items()
    if key in ("Start", "End"):
        if isinstance(value, str):
            return key, value, None
        (name, data), *_ = value.items()
        return key, name, data
    return "", key, value


class MarkdownFormat:
    """The format `markdown`."""

    name = "markdown"
    suffixes = (".md", ".markdown", ".mdown", ".mkd", ".mdx")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r"---\r?\n(?:[\w-]+:.*\r?\n){1,60}---\r?\n|#{1,6} \S", head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        yield from _Reader(source, source.text()).pieces()


@dataclass
class _Reader:
    """Reads one page. `_at` is the byte up to which pieces were yielded."""

    source: Source
    text: str
    _at: int = 0
    _run: list[tuple[str, str, Any, int, int]] = field(default_factory=list)
    _blocks: list[str] = field(default_factory=list)
    _heading: str = ""

    def __post_init__(self) -> None:
        self._data = self.text.encode()
        self._numbers = count(1)
        self._known = Known(pyromark.reference_definitions(self.text, options=OPTIONS))
        self._line, self._line_at = 1, 0

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the page."""
        skipping = 0
        for event, place in pyromark.events_with_range(self.text, options=OPTIONS):
            sort, name, data = name_of(event)
            start, end = place["start"], place["end"]
            if skipping:
                skipping += {"Start": 1, "End": -1}.get(sort, 0) if name in _FENCED else 0
            elif name in _INLINE_STARTS:
                if self._data[end - 1 : end + 2] == b"][]":  # the parser leaves the end of a collapsed reference out
                    end += 2
                self._run.append((sort, name, data, start, end))
            elif name in _INLINE and not sort:
                self._run.append((sort, name, data, start, end))
            else:
                yield from self._flush()
                if sort == "Start":
                    if name in _FENCED:
                        skipping = 1
                        yield from self._fenced(name, data, start, end)
                    self._blocks.append(name)
                elif sort == "End":
                    self._blocks.pop()
            if sort == "End" and name in _FENCED and not skipping and self._blocks and self._blocks[-1] == name:
                self._blocks.pop()
        yield from self._flush()
        yield self._data[self._at :].decode()

    def _upto(self, position: int) -> str:
        """Return what stands before a position and was not yielded yet."""
        made = self._data[self._at : position].decode()
        self._at = position
        return made

    def _line_of(self, position: int) -> int:
        self._line += self._data.count(b"\n", self._line_at, position)
        self._line_at = position
        return self._line

    def _fenced(self, name: str, data: Any, start: int, end: int) -> Iterator[Piece]:
        """Yield a block of front matter or HTML. A block of code stays as it is."""
        if name == "CodeBlock" or start < self._at:
            return
        raw = self._data[start:end].decode()
        line = self._line_of(start)
        if name == "MetadataBlock" and start == 0:
            first = raw.find("\n") + 1
            last = raw.rfind("\n", 0, len(raw.rstrip())) + 1
            yield raw[:first]
            is_toml = data == "PlusesStyle"
            yield from front_matter_pieces(raw[first:last], line + 1, self.source.options, is_toml=is_toml)
            yield raw[last:]
            self._at = end
        elif name == "HtmlBlock" and not ("BlockQuote" in self._blocks and "\n" in raw.strip()):
            yield self._upto(start)
            yield from Page(raw, self.source, self._numbers, line).pieces()
            self._at = end

    def _flush(self) -> Iterator[Piece]:
        """Yield the run of inline elements that ended, as a slot if it has words."""
        run, self._run = self._run, []
        while run and run[0][1] in ("SoftBreak", "HardBreak"):
            run.pop(0)
        while run and run[-1][1] in ("SoftBreak", "HardBreak"):
            run.pop()
        if not run:
            return
        start, end = run[0][3], max(one[4] for one in run)
        while start > self._at and self._data[start - 1 : start] == b"\\":
            start -= 1  # the run begins with an escaped character
        raw = self._data[start:end].decode()
        if _MDX.match(raw) or (raw.lstrip().startswith(("{{<", "{{%", "{%")) and not has_words(*_marked(raw))):
            return
        yield self._upto(start)
        self._at = end
        yield self._slot(run, start, end, raw)

    def _slot(self, run: list[tuple[str, str, Any, int, int]], start: int, end: int, raw: str) -> Piece:
        inline = Inline(self._data, start, end)
        inline.read(run)
        built = inline.built
        marks = built.all_marks(self.source.options.source_language, _directives, has_tags=False)
        text, kept = trimmed(built.text, marks)
        if not has_words(text, kept):
            return raw
        before = built.text[: len(built.text) - len(built.text.lstrip())] if text != built.text else ""
        after = built.text[len(before) + len(text) :]
        kind = next((_KINDS[block] for block in reversed(self._blocks) if block in _KINDS), "paragraph")
        if kind == "heading":
            self._heading, context = text, self._heading
        else:
            context = self._heading
        segment = Segment(str(next(self._numbers)), text, kind, kept, context)
        parsed = frozenset(mark.text for mark in built.marks)
        is_line = kind in ("heading", "cell", "term")

        def write(texts: Any) -> str:
            (new,) = texts
            if new is None or new == text:
                return raw
            is_cell = kind == "cell"
            return before + write_inline(new, segment, parsed, self._known, is_line=is_line, is_cell=is_cell) + after

        return Slot(raw, (segment,), write, self._line_of(start))


def _directives(text: str) -> list[Mark]:
    return [Mark(*match.span(), match[0]) for match in _DIRECTIVE.finditer(text)]


def _marked(raw: str) -> tuple[str, tuple[Mark, ...]]:
    built = Builder()
    built.add(raw)
    return raw, built.all_marks(None, _directives)
