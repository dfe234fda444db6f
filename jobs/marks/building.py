"""Builds the text of a segment from the parts that a parser found, and finds the further marks in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Final

import regex

from jobs.marks.grammar import find_marks
from jobs.marks.mark import Mark, Role, apart

_BLANK: Final = "\0"
_REFERENCE: Final = regex.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}+|#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+);")


@dataclass(slots=True)
class Builder:
    """A text that grows part by part: words as they are, and marks that a parser found."""

    text: str = ""
    marks: list[Mark] = field(default_factory=list)

    def add(self, words: str) -> None:
        """Add words."""
        self.text += words

    def keep(self, mark: str, role: Role = Role.ALONE) -> int:
        """Add a mark. Returns its number among the marks of the parser."""
        self.marks.append(Mark(len(self.text), len(self.text) + len(mark), mark, role))
        self.text += mark
        return len(self.marks) - 1

    def add_reference(self, raw: str, *, keeps: str = "<>&") -> None:
        """Add a character reference: as its character if that is a visible one outside `keeps`, else as a mark."""
        value = unescape(raw)
        if value != raw and value.isprintable() and not any(one.isspace() or one in keeps for one in value):
            self.add(value)
        else:
            self.keep(raw)

    def add_referenced(self, raw: str, *, keeps: str = "<>&") -> None:
        """Add words that hold character references."""
        position = 0
        for match in _REFERENCE.finditer(raw):
            self.add(raw[position : match.start()])
            self.add_reference(match[0], keeps=keeps)
            position = match.end()
        self.add(raw[position:])

    def all_marks(
        self, language: str | None, more: Callable[[str], Sequence[Mark]] | None = None, *, has_tags: bool = False
    ) -> tuple[Mark, ...]:
        """Return the marks of the parser, and those that the grammar and `more` find in the words between them."""
        parts, position = [], 0
        for mark in self.marks:
            # References and escapes stay in sight, since an address may go on behind them.
            shown = mark.text if mark.text[0] in "&\\" else _BLANK * len(mark.text)
            parts += [self.text[position : mark.start], shown]
            position = mark.end
        blanked = "".join([*parts, self.text[position:]])
        found = [*find_marks(blanked, language=language, has_tags=has_tags), *(more(blanked) if more else ())]
        return apart([*self.marks, *(one for one in found if _BLANK not in one.text)])


def has_words(text: str, marks: Sequence[Mark]) -> bool:
    """Whether a text has a letter outside its marks."""
    position = 0
    for mark in marks:
        if any(map(str.isalpha, text[position : mark.start])):
            return True
        position = mark.end
    return any(map(str.isalpha, text[position:]))


def trimmed(text: str, marks: Sequence[Mark]) -> tuple[str, tuple[Mark, ...]]:
    """Return a text without the blanks around it, and its marks at their new places."""
    start = len(text) - len(text.lstrip())
    if marks:
        start = min(start, marks[0].start)
    end = max(len(text.rstrip()), marks[-1].end if marks else 0)
    return text[start:end], tuple(Mark(one.start - start, one.end - start, one.text, one.role) for one in marks)
