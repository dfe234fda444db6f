"""Reads XLIFF 1.2 and 2.x: each source is a segment, and its translation is written into its target.

A target that is missing is added behind its source. Units with `translate="no"` stay as they are, and so do alternatives. Inline
elements are marks: the tags of `g`, `pc` and `mrk` around words, and all others (`x`, `ph`, `bpt`, …) as one mark with what they
hold; words between tags that say so (`translate="no"`) stay too. A source that is cut into sentences (`seg-source`) is translated
with the marks of its sentences. Notes are the context. Where a target language is given, the file gets it if it names none;
targets in another language do not count.

The formats are those of http://docs.oasis-open.org/xliff/v1.2/ and http://docs.oasis-open.org/xliff/xliff-core/v2.1/.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import regex

from jobs.checks.signs.icu import is_icu
from jobs.documents.document import Piece, Segment, Slot, State
from jobs.documents.exchange.xml_content import (
    end_of,
    escaped,
    local,
    raw_of,
    read_content,
    tokens_of,
    write_content,
)
from jobs.documents.exchange.xml_tokens import Token
from jobs.documents.message import Unit, unit_piece
from jobs.documents.source import Source
from jobs.marks.building import Builder, has_words
from jobs.marks.damage import Damaged
from jobs.writing.words.words import primary

_PAIRS: Final = frozenset(("g", "pc", "mrk"))
_HOLDERS: Final = frozenset(("trans-unit", "segment"))
_TO_DO: Final = frozenset(("new", "needs-translation", "initial"))
_TO_LOOK_AT: Final = frozenset(("needs-adaptation", "needs-l10n", "needs-review-adaptation", "needs-review-l10n",
                                "needs-review-translation"))  # fmt: skip
_INITIAL: Final = regex.compile(r"(\bstate\s*=\s*[\"'])initial(?=[\"'])")
_STATE: Final = regex.compile(r"(\bstate\s*=\s*[\"'])(?:new|needs-translation)(?=[\"'])")


class XliffFormat:
    """The format `xliff`."""

    name = "xliff"
    suffixes = (".xlf", ".xliff", ".sdlxliff", ".mxliff")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,500}?-->\s*)*<xliff\b", head, regex.DOTALL) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        tokens = tokens_of(source)
        first = next((one for one in tokens if one.sort == "opens"), None)
        if first is None or local(first.name) != "xliff":
            raise source.error("its first element is not xliff", "give an XLIFF file", first.line if first else 1)
        yield from _Reader(source, tokens).pieces()


class _Reader:
    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self._source, self._tokens = source, tokens
        self._target = source.options.target_language
        self._is_of_other = False
        self._is_version_2 = (
            next(one for one in tokens if one.sort == "opens").attributes.get("version", "").startswith("2")
        )
        self._seen: dict[str, int] = {}
        self._opened: list[Token] = []
        self._notes: list[str] = []

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the file."""
        n = 0
        while n < len(self._tokens):
            token = self._tokens[n]
            if token.sort == "opens":
                self._opened.append(token)
                self._notes = [] if local(token.name) == "unit" else self._notes
                if _is_note(token):
                    self._notes.append(_words(self._tokens[n + 1 : end_of(self._tokens, n)]))
                if local(token.name) in _HOLDERS:
                    end = end_of(self._tokens, n)
                    yield from self._holder(self._tokens[n : end + 1])
                    self._opened.pop()
                    n = end + 1
                    continue
            elif token.sort == "closes":
                self._opened.pop()
            yield self._language(token) if token.sort == "opens" else token.raw
            n += 1

    def _language(self, token: Token) -> Piece:
        """Return a tag; if it names the target language, as a slot that is written for another one."""
        key = "trgLang" if self._is_version_2 else "target-language"
        if not self._target or local(token.name) != ("xliff" if self._is_version_2 else "file"):
            return token.raw
        language = token.attributes.get(key, "")
        self._is_of_other = bool(language) and primary(language) != primary(self._target)
        if language and not self._is_of_other:
            return token.raw
        attribute = f'{key}="{self._target}"'
        if language:
            new = regex.sub(rf"\b{key}\s*=\s*(?:\"[^\"]*\"|'[^']*')", attribute, token.raw, count=1)
        else:
            new = regex.sub(r"\s*(/?>)$", rf" {attribute}\1", token.raw, count=1)
        return Slot(token.raw, (), lambda texts: new, token.line)

    def _holder(self, tokens: Sequence[Token]) -> Iterator[Piece]:
        """Yield a unit or segment, with a slot in the place of its target."""
        places: dict[str, tuple[int, int]] = {}
        n = 1
        while n < len(tokens) - 1:
            if tokens[n].sort == "opens":
                end = end_of(tokens, n)
                places.setdefault(local(tokens[n].name), (n, end))
                n = end
            n += 1
        is_kept = any(one.attributes.get("translate") == "no" for one in self._opened)
        if is_kept or "source" not in places:
            yield raw_of(tokens)
            return
        start, end = places["source"]
        after = places.get("seg-source", (start, end))[1] + 1
        first, last = places["target"] if "target" in places else (after, after - 1)
        blanks = start
        while tokens[blanks - 1].sort in ("text", "other") and tokens[blanks - 1].raw.isspace():
            blanks -= 1
        opened = self._is_version_2 and tokens[0].attributes.get("state") == "initial"
        yield "" if opened else raw_of(tokens[:first])
        before = "" if "target" in places else raw_of(tokens[blanks:start])
        unit = _Unit(
            source=tokens[start : end + 1],
            segmented=tokens[places["seg-source"][0] : places["seg-source"][1] + 1] if "seg-source" in places else (),
            target=tokens[first : last + 1],
            before=before,
            head=tokens[:first] if opened else (),
            notes=[_words(tokens[n + 1 : end_of(tokens, n)]) for n, one in enumerate(tokens) if _is_note(one)],
        )
        yield self._slot(unit)
        yield raw_of(tokens[last + 1 :])

    def _slot(self, unit: "_Unit") -> Piece:
        """Return the slot of a target. A message of ICU that holds inline elements stays as it is."""
        built, options = read_content(unit.content, _PAIRS), self._source.options
        marks = built.all_marks(options.source_language, has_tags=True)
        raw = raw_of([*unit.head, *unit.target])
        if not has_words(built.text, marks) or (is_icu(built.text) and built.marks):
            return raw
        old = Builder() if self._is_of_other else read_content(unit.target[1:-1], _PAIRS)
        target, state = (old.text, State.NEW) if _has_text(old) else ("", State.NEW)
        if target:
            attributes = {**self._opened[-1].attributes, **unit.target[0].attributes}
            state = _state(attributes.get("state", ""), attributes.get("approved", ""))
        parsed, line = frozenset(built.marks), unit.source[0].line
        context = "; ".join(filter(None, [*self._notes, *unit.notes]))
        if is_icu(built.text):
            about = Unit(self._name(), built.text, "", target, state, context, self._most())
            return unit_piece(raw, about, options, lambda made: unit.written(escaped(made)), line)
        segment = Segment(self._name(), built.text, "unit", marks, context, target, state, self._most())

        def write(texts: Sequence[str | None]) -> str:
            (text,) = texts
            if text is None or (text == target and state is not State.NEW):
                return raw
            if not text.strip():
                raise Damaged("the translation is empty")
            return unit.written(write_content(text, marks, parsed, str))

        return Slot(raw, (segment,), write, line)

    def _most(self) -> int | None:
        """Return the number of characters that a unit may have, if it says so in characters."""
        about = self._opened[-1].attributes
        most = about.get("maxwidth", "")
        return (
            int(most) if about.get("size-unit") == "char" and most.isdecimal() and len(most) < 7 and int(most) else None
        )

    def _name(self) -> str:
        """Return the path of the names of a unit: those of its file, unit and segment."""
        ids = [one.attributes.get("id") or one.attributes.get("original", "") for one in self._opened]
        name = "/".join(one for one in ids if one) or "unit"
        self._seen[name] = self._seen.get(name, 0) + 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit: the tokens of its source, of its source in sentences, and of its target, each with their tags.

    `before` stands before a target that is added, `head` are the tokens up to the target if the first is to be written anew.
    """

    source: Sequence[Token]
    segmented: Sequence[Token]
    target: Sequence[Token]
    before: str
    head: Sequence[Token]
    notes: Sequence[str]

    @property
    def content(self) -> Sequence[Token]:
        """The tokens within the source; those in sentences, where these are marked, since the target has their marks."""
        is_cut = any(one.attributes.get("mtype") == "seg" for one in self.segmented)
        return (self.segmented if is_cut else self.source)[1:-1]

    def written(self, content: str) -> str:
        """Return the target with this content, behind the head."""
        head = raw_of(self.head)
        if self.head:
            head = _INITIAL.sub(r"\1translated", self.head[0].raw) + raw_of(self.head[1:])
        name = self.source[0].name.removesuffix("source") + "target"
        tag = self.target[0].raw if self.target else f"<{name}>"
        opening = regex.sub(r"\s*/>$", ">", _STATE.sub(r"\1translated", tag))
        lines = content.replace("\n", "\r\n") if "\r\n" in raw_of(self.source) else content
        return f"{head}{self.before}{opening}{lines}</{name}>"


def _has_text(built: Builder) -> bool:
    """Whether a target holds more than inline elements."""
    text = built.text
    for mark in reversed(built.marks):
        text = text[: mark.start] + text[mark.end :]
    return bool(text.strip())


def _is_note(token: Token) -> bool:
    return token.sort == "opens" and local(token.name) == "note"


def _words(tokens: Sequence[Token]) -> str:
    """Return the text of a note."""
    return " ".join(read_content(tokens, ()).text.split())


def _state(state: str, approved: str) -> State:
    """Return the state of a unit that has a target."""
    if state in _TO_DO:
        return State.NEW
    return State.FUZZY if state in _TO_LOOK_AT or approved == "no" else State.DONE
