"""Cleaning: takes off what a model puts around a text, and keeps a record of it for the row's receipt.

Small models write announcements (`Sure! Here is a title:`), labels (`Title: …`), list marks, quotes, emphasis and code fences
around the text that was asked for. All these are taken off, unless the evidence says that they are content
(jobs/writing/evidence.py).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from jobs.writing.evidence import QUOTE_PAIRS, Evidence
from jobs.writing.json_answers import text_in_json
from jobs.writing.labels import COUNT, announcement, label
from jobs.writing.prose import ELLIPSIS, FENCE

MAX_REMOVED: Final = 500
"""The receipt keeps at most this many characters of each part that was taken off."""

MAX_LAYERS: Final = 8
"""At most this many layers of labels, marks and quotes are taken off a text, one inside the other."""

_EMPHASIS: Final = "*_`"
MARKER: Final = re.compile(
    r"(?:[-*+>\u2013\u2014\u2022\u2023\u25e6\u00b7]\s+|#{1,6}\s+(?!\d+\s)|#\d{1,3}(?:\s*[.):]|\s+[-\u2013])?(?:\s+|$)|"
    r"\(?\d{1,2}[.):](?:\s+|(?=\D)|$)|[IVX]{1,4}[.)]\s+|\(?[a-zA-Z]\)\s+)"
)
"""Matches a bullet, a heading mark or a list number at the beginning of a line."""

_ORDINAL: Final = re.compile(r"\d{1,2}\.")
_TAGS: Final = re.compile(r"<(title|h[1-6]|p)>([^<>]+)</\1>", re.IGNORECASE)
_TEXT_FENCE: Final = re.compile(
    r"[ \t]{0,3}[`~]{3,}[ \t]{0,5}(?:markdown|md|text|txt|plain|plaintext)?[ \t]*", re.IGNORECASE
)


class CleanedOutput(BaseModel):
    """The output of a kind that takes something off the model's texts.

    The parts that were taken off are no field of the output: they stand beside it, in the receipt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    _removed: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)

    @property
    def removed(self) -> Mapping[str, Sequence[str]]:
        """The parts that were taken off, by the label of the prompt whose completion had them."""
        return self._removed

    def with_removed(self, removed: Mapping[str, Sequence[str]]) -> Self:
        """Return this output, with a note of the parts that were taken off. Labels without such parts are left out."""
        self._removed.update({name: tuple(parts) for name, parts in removed.items() if parts})
        return self


class Draft:
    """A completion that is being cleaned.

    `text` is what is left of it. `removed` holds the parts that were taken off, in their order.
    """

    def __init__(self, text: str, removed: list[str] | None = None) -> None:
        self.text = text.strip()
        self.removed: list[str] = [] if removed is None else removed

    def note(self, part: str) -> None:
        """Record a part that was taken off; white space and marks without a letter, digit or quote are not recorded."""
        part = part.strip()
        if any(character.isalnum() or character in QUOTE_PAIRS for character in part):
            self.removed.append(part if len(part) <= MAX_REMOVED else part[: MAX_REMOVED - 1] + ELLIPSIS)

    def cut_to(self, text: str) -> None:
        """Keep only `text`, which is a part of the draft's text. The texts before and after it are recorded as taken off."""
        start = self.text.find(text) if text else len(self.text)
        self.note(self.text[:start])
        self.note(self.text[start + len(text) :])
        self.text = text

    def drop_fence(self, *, of_text: bool = False) -> None:
        """Take off a code fence around all of the text. If `of_text`, a fence that names a programming language stays."""
        lines = self.text.splitlines()
        if not lines or (opening := FENCE.match(lines[0])) is None or (of_text and not _TEXT_FENCE.fullmatch(lines[0])):
            return
        inner = self.text.removeprefix(opening[1]).removesuffix(opening[1]).strip()
        if len(lines) == 1 and inner and self.text.endswith(opening[1]):
            self.cut_to(inner)
            return
        closing = [n for n, line in enumerate(lines[1:], 1) if line.strip() == opening[1]]
        if not closing or closing[0] == len(lines) - 1:
            self.note(lines[0])
            self.text = "\n".join(lines[1 : closing[0] if closing else None]).strip()

    def drop_json(self, evidence: Evidence, *families: str, beside_words: bool = False) -> None:
        """Remove the JSON around a text, as in `{"title": "Tomatoes"}`. See `text_in_json`."""
        found = None if evidence.explains_json() else text_in_json(self.text, *families, beside_words=beside_words)
        if found is not None and found in self.text:
            self.cut_to(found)
        elif found is not None:
            self.note(self.text)
            self.text = found

    def drop_announcement(self, evidence: Evidence, *families: str, inline: bool = True, unnamed: bool = True) -> None:
        """Take off an announcement that names a text by a word of these families, if words follow it.

        If `inline`, the text may follow on the same line; otherwise only a text in quotes may. If `unnamed`, an announcement
        before a new line need not name the text (`Here it is:`, `Sure:`). Otherwise an announcement that does not name the text
        must begin with an answer (`Sure! Here it is:`).
        """
        found = announcement(*families).match(self.text)
        rest = self.text[found.end() :].lstrip() if found else ""
        if found is None or not any(map(str.isalnum, rest)):
            return
        answers = bool(found["interjection"] and found["pronoun"])
        if found["named"]:
            announces = bool(inline or found["line"] or rest[0] in QUOTE_PAIRS or rest.startswith("**"))
        else:
            unnamed = unnamed and not found["sentence"] and bool(found["interjection"] or found["pronoun"])
            announces = bool(found["line"]) and (answers or unnamed)
        if announces and not evidence.explains(found[0], rest, "|".join(families)):
            self._begin_at(found.end())

    def drop_label(self, evidence: Evidence, *families: str) -> None:
        """Take off a label that is a word of these families, if anything follows it."""
        found = label(*families).match(self.text)
        if found is None or found.end() == len(self.text):
            return
        if not evidence.explains(found["word"], self.text[found.end() :], "|".join(families)):
            self._begin_at(found.end())
            if found[0].lstrip().startswith("**") and self.text.endswith("**") and "**" not in self.text[:-2]:
                self.text = self.text[:-2].rstrip()

    def drop_mark(self, evidence: Evidence, *, ordinals: bool = False) -> None:
        """Take off a bullet, a heading mark or a list number.

        If `ordinals`, a number with a full stop may be a word, and stays.
        """
        found = MARKER.match(self.text)
        if found is None or (ordinals and _ORDINAL.match(found[0])):
            return
        if not evidence.explains_mark(found[0], self.text[found.end() :]):
            self._begin_at(found.end())

    def drop_quotes(self, evidence: Evidence) -> None:
        """Take off quotes, emphasis, or the tags of a heading or paragraph around all of the text."""
        text = self.text
        if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in text[2:-2]:
            if not evidence.explains_emphasis("**"):
                self.text = text[2:-2].strip()
        elif len(text) > 1 and text[0] in _EMPHASIS and text[0] == text[-1] and text[0] not in text[1:-1]:
            if not evidence.explains_emphasis(text[0]):
                self.text = text[1:-1].strip()
        elif (tags := _TAGS.fullmatch(text)) is not None:
            if not evidence.explains_emphasis("<"):
                self.note(text[: tags.start(2)] + text[tags.end(2) :])
                self.text = tags[2].strip()
        elif len(text) > 1 and text[-1] in QUOTE_PAIRS.get(text[0], ""):
            inner = text[1:-1]
            if text[0] not in inner and text[-1] not in inner and not evidence.explains_quotes(inner):
                self.note(text[0] + text[-1])
                self.text = inner.strip()

    def drop_count(self, evidence: Evidence) -> None:
        """Take off a count of words or characters at the end: `(58 characters)`."""
        found = COUNT.search(self.text)
        if found is not None and not evidence.explains(found[0], self.text[: found.start()], r"(?!)"):
            self.cut_to(self.text[: found.start()].rstrip())

    def drop_around(self, evidence: Evidence, *families: str, ordinals: bool | None = None) -> None:
        """Take off labels that are words of these families, quotes and emphasis, layer by layer, at most `MAX_LAYERS` layers.

        List marks are taken off too (see `drop_mark`), unless `ordinals` is None.
        """
        for _ in range(MAX_LAYERS):
            before = self.text
            if ordinals is not None:
                self.drop_mark(evidence, ordinals=ordinals)
            self.drop_label(evidence, *families)
            self.drop_quotes(evidence)
            if self.text == before:
                break

    def _begin_at(self, position: int) -> None:
        self.note(self.text[:position])
        self.text = self.text[position:].strip()
