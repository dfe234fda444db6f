"""Reads XLIFF 1.2 and 2.x: each source is a segment, and its translation is written into its target.

A target that is missing is added behind its source. Units with `translate="no"` stay as they are, and so do alternatives. Inline
elements are marks: the tags of `g`, `pc` and `mrk` around words, and all others (`x`, `ph`, `bpt`, …) as one mark with what they
hold. Where a target language is given, the file gets it if it names none; targets in another language do not count.

The formats are those of http://docs.oasis-open.org/xliff/v1.2/ and http://docs.oasis-open.org/xliff/xliff-core/v2.1/.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import regex

from jobs.documents.document import Piece, Segment, Slot, State
from jobs.documents.exchange.xml_content import end_of, local, raw_of, read_content, tokens_of, write_content
from jobs.documents.exchange.xml_tokens import Token
from jobs.documents.source import Source
from jobs.marks.building import has_words
from jobs.marks.damage import Damaged
from jobs.writing.words.words import primary

_PAIRS: Final = frozenset(("g", "pc", "mrk"))
_HOLDERS: Final = frozenset(("trans-unit", "segment"))
_TO_DO: Final = frozenset(("new", "needs-translation", "initial"))
_TO_LOOK_AT: Final = frozenset(("needs-adaptation", "needs-l10n", "needs-review-adaptation", "needs-review-l10n",
                                "needs-review-translation"))  # fmt: skip
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

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the file."""
        n = 0
        while n < len(self._tokens):
            token = self._tokens[n]
            if token.sort == "opens":
                self._opened.append(token)
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
        yield raw_of(tokens[:first])
        before = "" if "target" in places else raw_of(tokens[blanks:start])
        yield self._slot(tokens[start : end + 1], tokens[first : last + 1], before)
        yield raw_of(tokens[last + 1 :])

    def _slot(self, source: Sequence[Token], target: Sequence[Token], before: str) -> Piece:
        built = read_content(source[1:-1], _PAIRS)
        marks = built.all_marks(self._source.options.source_language, has_tags=True)
        raw = raw_of(target)
        if not has_words(built.text, marks):
            return raw
        old = "" if self._is_of_other else read_content(target[1:-1], _PAIRS).text
        state = State.NEW
        if old.strip():
            attributes = {**self._opened[-1].attributes, **target[0].attributes}
            state = _state(attributes.get("state", ""), attributes.get("approved", ""))
        segment = Segment(self._name(), built.text, "unit", marks, target=old, state=state)
        name = source[0].name.removesuffix("source") + "target"
        opening = regex.sub(r"\s*/>$", ">", _STATE.sub(r"\1translated", target[0].raw)) if target else f"<{name}>"
        parsed = frozenset(built.marks)

        def write(texts: Sequence[str | None]) -> str:
            (text,) = texts
            if text is None or (text == old and state is not State.NEW):
                return raw
            if not text.strip():
                raise Damaged("the translation is empty")
            return f"{before}{opening}{write_content(text, marks, parsed, str)}</{name}>"

        return Slot(raw, (segment,), write, source[0].line)

    def _name(self) -> str:
        """Return the path of the names of a unit: those of its file, unit and segment."""
        ids = [one.attributes.get("id") or one.attributes.get("original", "") for one in self._opened]
        name = "/".join(one for one in ids if one) or "unit"
        self._seen[name] = self._seen.get(name, 0) + 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"


def _state(state: str, approved: str) -> State:
    """Return the state of a unit that has a target."""
    if state in _TO_DO:
        return State.NEW
    return State.FUZZY if state in _TO_LOOK_AT or approved == "no" else State.DONE
