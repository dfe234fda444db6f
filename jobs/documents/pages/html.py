"""Reads pages in HTML: each run of words and inline tags between two blocks is a segment.

Scripts, styles, code, drawings, formulas, comments, elements with `translate="no"` and elements in another language than the
source stay as they are; the first tag gets the target language. Within a run, inline tags and code are marks; a reference to a
visible character counts as that character. Attributes that a reader sees (`alt`, `title`, `placeholder`, `aria-label`,
descriptions in `<meta>`) are segments of their own. Blanks in a row count as one, as they are shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import regex

from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.pages.html_attributes import Attribute, seen_attributes
from jobs.documents.pages.html_tokens import Token, line_of, line_starts, tokens
from jobs.documents.source import Source
from jobs.marks.building import Builder, has_words, trimmed
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_kept
from jobs.marks.mark import Mark, Role
from jobs.writing.words.words import primary

_INLINE_WORDS: Final = (
    "a abbr acronym audio b bdi bdo big br button cite code data del dfn em embed font i iframe img input ins kbd "
    "label map mark meter nobr object output picture progress q rp rt ruby s samp small source span strike strong "
    "sub sup svg math time track tt u var video wbr"
)
INLINE: Final = frozenset(_INLINE_WORDS.split())
"""Elements that stand within a run of words. All others begin a new run."""

_KEPT_WORDS: Final = "code kbd math pre samp script style svg template textarea tt var noscript"
KEPT: Final = frozenset(_KEPT_WORDS.split())
"""Elements whose content stays as it is."""

_NOT_TRANSLATED: Final = regex.compile(
    r"\stranslate\s?=\s?[\"']?no\b|\sclass\s?=\s?(?:\"[^\"]*\bnotranslate\b|'[^']*\bnotranslate\b)", regex.IGNORECASE
)
_LANGUAGE: Final = regex.compile(r"(?i)(\s(?:xml:)?lang\s*=\s*[\"']?)([a-z]{2,3}(?:-[a-z0-9]{1,8})*+)")
_BLANKS: Final = regex.compile(r"[ \t\n\r\f]++")


class HtmlFormat:
    """The format `html`."""

    name = "html"
    suffixes = (".html", ".htm", ".xhtml")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return (
            regex.match(
                r"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b", head, regex.IGNORECASE | regex.DOTALL
            )
            is not None
        )

    def pieces(self, source: Source) -> Iterator[Piece]:
        text = source.text()
        yield from Page(text, source, count(1)).pieces()


@dataclass
class Page:
    """A page, or a part of one within Markdown. `numbers` gives the next number of a segment; `line` is that of its start."""

    text: str
    source: Source
    numbers: Iterator[int]
    line: int = 1
    _heading: str = field(default="", init=False)

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the page."""
        self._lines = line_starts(self.text)
        run: list[Token] = []
        found = tokens(self.text)
        n = 0
        while n < len(found):
            token = found[n]
            end = _kept_end(found, n, self.source.options.source_language)
            if end is not None:
                whole = Token("other", "".join(one.text for one in found[n:end]), token.start, token.name)
                if token.name in INLINE and token.name not in ("noscript",):
                    run.append(whole)
                else:
                    yield from self._run(run)
                    run = []
                    yield whole.text
                n = end
                continue
            if token.sort in ("opens", "closes", "empty") and token.name not in INLINE:
                yield from self._run(run)
                run = []
                yield from self._tag(token)
            else:
                run.append(token)
            n += 1
        yield from self._run(run)

    def _tag(self, token: Token) -> Iterator[Piece]:
        """Yield a tag with a slot for each attribute that a reader sees."""
        position = 0
        if token.name == "html" and (made := self._root(token.text)) is not None:
            yield Slot(token.text, (), lambda texts: made, self._line(token.start))
            return
        for one in seen_attributes(token) if token.sort != "closes" else ():
            built = self._value(one)
            if built is not None:
                yield token.text[position : one.start]
                segment = self._segment(*built, f"attribute {one.name}")

                def write(texts: Sequence[str | None], one: Attribute = one, segment: Segment = segment) -> str:
                    return self._attribute(one, segment, texts[0])

                yield Slot(one.raw, (segment,), write, self._line(token.start))
                position = one.end
        yield token.text[position:]

    def _root(self, tag: str) -> str | None:
        """Return the first tag of a page with the target language in place of that of the source; None if it stays."""
        options = self.source.options
        found = _LANGUAGE.findall(tag)
        source = options.source_language
        if not options.target_language or not found or (source and primary(found[0][1]) != primary(source)):
            return None
        return _LANGUAGE.sub(lambda one: f"{one[1]}{options.target_language}", tag)

    def _value(self, one: Attribute) -> tuple[str, tuple[Mark, ...]] | None:
        built = Builder()
        built.add_referenced(one.raw, keeps="<>&\"'")
        marks = built.all_marks(self.source.options.source_language, has_tags=True)
        return (built.text, marks) if has_words(built.text, marks) else None

    def _segment(self, text: str, marks: tuple[Mark, ...], kind: str) -> Segment:
        return Segment(str(next(self.numbers)), text, kind, marks, context=self._heading)

    def _line(self, position: int) -> int:
        return self.line - 1 + line_of(self._lines, position)

    def _attribute(self, one: Attribute, segment: Segment, text: str | None) -> str:
        """Return a value with a translation in its place, quoted as it was."""
        if text is None or text == segment.text:
            return one.raw
        made = "".join(
            part.text
            if isinstance(part, Mark)
            else self._escaped(part).replace('"', "&quot;").replace("'", "&#39;" if one.quote == "'" else "'")
            for part in check_kept(text, segment.marks)
        )
        return made if one.quote else f'"{made}"'

    def _escaped(self, words: str) -> str:
        made = words.replace("&", "&amp;").replace("<", "&lt;")
        encoding = self.source.encoding
        return made if encoding.startswith("utf") else made.encode(encoding, "xmlcharrefreplace").decode(encoding)

    def _run(self, run: list[Token]) -> Iterator[Piece]:
        """Yield a run of words and inline tags: as one slot, or if it has no words, tag by tag."""
        first = next((n for n, one in enumerate(run) if one.text.strip()), None)
        if first is None:
            yield from (one.text for one in run)
            return
        last = next(n for n in reversed(range(len(run))) if run[n].text.strip())
        head, tail = "", ""
        if run[first].sort == "text":
            bare = run[first].text.lstrip()
            head = run[first].text[: len(run[first].text) - len(bare)]
            run[first] = Token("text", bare, run[first].start + len(head))
        if run[last].sort == "text":
            bare = run[last].text.rstrip()
            tail = run[last].text[len(bare) :]
            run[last] = Token("text", bare, run[last].start)
        yield from (one.text for one in run[:first])
        if head:
            yield head
        yield from self._words(run[first : last + 1])
        if tail:
            yield tail
        yield from (one.text for one in run[last + 1 :])

    def _words(self, run: list[Token]) -> Iterator[Piece]:
        built = Builder()
        roles = _roles(run)
        for n, token in enumerate(run):
            if token.sort == "text":
                built.add(_BLANKS.sub(" ", token.text))
            elif token.sort == "reference":
                built.add_reference(token.text)
            else:
                built.keep(token.text, roles[n])
        marks = built.all_marks(self.source.options.source_language)
        text, marks = trimmed(built.text, marks)
        if not has_words(text, marks):
            for token in run:
                if token.sort in ("opens", "empty"):
                    yield from self._tag(token)
                else:
                    yield token.text
            return
        segment = self._segment(text, marks, "text")
        inner = [
            (token, one, self._value(one))
            for token in run
            if token.sort in ("opens", "empty")
            for one in seen_attributes(token)
        ]
        attributes = [
            (token, one, self._segment(*value, f"attribute {one.name}")) for token, one, value in inner if value
        ]

        def write(texts: Sequence[str | None]) -> str:
            return self._written(run, segment, attributes, texts)

        raw = "".join(one.text for one in run)
        yield Slot(raw, (segment, *(one for _, _, one in attributes)), write, self._line(run[0].start))

    def _written(
        self,
        run: Sequence[Token],
        segment: Segment,
        attributes: Sequence[tuple[Token, Attribute, Segment]],
        texts: Sequence[str | None],
    ) -> str:
        """Return a run with translations of its words and of the attributes in its tags."""
        new = {token.start: token.text for token in run}
        for (token, one, inner), text in reversed(list(zip(attributes, texts[1:], strict=True))):
            tag = new[token.start]
            new[token.start] = tag[: one.start] + self._attribute(one, inner, text) + tag[one.end :]
        words = texts[0]
        if words is None or words == segment.text:
            return "".join(new[token.start] for token in run)
        waiting: dict[str, list[str]] = {}
        for token in run:
            if token.sort not in ("text", "reference"):
                waiting.setdefault(token.text, []).append(new[token.start])
        parts = []
        for part in check_kept(words, segment.marks):
            if isinstance(part, Mark):
                queue = waiting.get(part.text)
                parts.append(queue.pop(0) if queue else part.text)
            else:
                parts.append(self._escaped(part))
        made = "".join(parts)
        if not made.strip():
            raise Damaged("the translation is empty")
        return made


def _is_kept(token: Token, source: str | None) -> bool:
    """Whether the content of an element stays as it is: by its name, by what it says, or since it is in another language."""
    if token.name in KEPT or _NOT_TRANSLATED.search(token.text):
        return True
    other = _LANGUAGE.search(token.text) if source and token.name not in ("html", "body") else None
    return other is not None and source is not None and primary(other[2]) != primary(source)


def _kept_end(found: Sequence[Token], n: int, source: str | None) -> int | None:
    """Return the position behind an element whose content stays as it is, if one begins at token `n`; else None."""
    token = found[n]
    if token.sort != "opens" or not _is_kept(token, source):
        return None
    depth = 0
    for end in range(n, len(found)):
        one = found[end]
        if one.name == token.name:
            depth += {"opens": 1, "closes": -1}.get(one.sort, 0)
            if not depth:
                return end + 1
    return len(found)


def _roles(run: Sequence[Token]) -> list[Role]:
    """Return the role of each token as a mark. A tag whose partner is not in the run stands alone."""
    roles = [Role.ALONE] * len(run)
    waiting: list[tuple[str, int]] = []
    for n, token in enumerate(run):
        if token.sort == "opens":
            waiting.append((token.name, n))
        elif token.sort == "closes":
            at = next(
                (k for k in range(len(waiting) - 1, max(-1, len(waiting) - 50), -1) if waiting[k][0] == token.name),
                None,
            )
            if at is not None:
                roles[waiting[at][1]], roles[n] = Role.OPENS, Role.CLOSES
                del waiting[at:]
    return roles
