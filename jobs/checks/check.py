"""The protocol of a check: it reads a Subject, is set by limits, and returns Broken clauses.

A check is a pure function. It needs no model, no network and no state, so a test can call it with two texts. Other packages add
checks through the entry point group `nightpress.checks`: the entry point names a Check, or a sequence of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from jobs.checks import masks, reading
from jobs.findings import Limit, Place, Severity

Form = Literal["plain", "markdown"]
"""The markup of a text."""

_HEAD: Final = 2_000
"""The script of a text is judged by this many characters."""

Limits = Mapping[str, Any]
"""Name -> value of each limit of a check: the default, or the value by which settings, tenant, kind or row replace it."""


@dataclass(frozen=True)
class Piece:
    """A text that the model wrote: a field of the output.

    Its views (`prose`, `spans`, `keys`) are computed once, so several checks share them. Their positions are those of `text`.
    """

    field: str
    text: str
    form: Form = "plain"
    language: str | None = None
    """The language in which it should be, as a BCP 47 tag. None: unknown."""

    @cached_property
    def uncoded(self) -> str:
        """The text with a space in place of each character of code, so positions are those of `text`."""
        return masks.without_code(self.text)

    @cached_property
    def prose(self) -> str:
        """`uncoded` with a space in place of each character of links' addresses and tags. Positions are those of `text`."""
        return masks.without_addresses(self.uncoded)

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """Start and end in `text` of each sentence of `prose`. A line break ends a sentence too."""
        return masks.sentence_spans(self.prose, self.language)

    @cached_property
    def lines(self) -> Sequence[tuple[str, Sequence[str]]]:
        """The lines of `prose`, each with its casefolded words in their order. An ideograph is a word."""
        return [(line, reading.keys(line)) for line in self.prose.splitlines()]

    @cached_property
    def keys(self) -> Sequence[str]:
        """The casefolded words of `prose` in their order."""
        return [key for _, keys in self.lines for key in keys]

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether the text, judged by its beginning, is in a script without spaces between words."""
        return reading.is_unspaced(self.prose[:_HEAD])

    @cached_property
    def tokens(self) -> Sequence[tuple[str, int, int]]:
        """`keys`, each with its start and end in `text`. They take longer, so a check uses them only to name a place."""
        return reading.tokens(self.prose)

    def place(self, start: int = 0, end: int | None = None) -> Place:
        """Return a place in this field; by default the whole field."""
        return Place(field=self.field, start=start, end=len(self.text) if end is None else end)

    def find(self, words: str) -> Place | None:
        """Return the first place of `words` in the text; None if it has none."""
        start = self.text.find(words)
        return self.place(start, start + len(words)) if start >= 0 else None


@dataclass(frozen=True)
class Subject:
    """A row and its output, as checks read them. `pieces` are the texts that the model wrote; the first is the main one."""

    kind: str
    request: Mapping[str, Any]
    output: Mapping[str, Any]
    pieces: Sequence[Piece]
    language: str | None = None
    """The language of the output, as a BCP 47 tag. None: unknown."""
    source_language: str | None = None
    source: str | None = None
    """The text that the output is made from: what is translated, or what a post is about. None: there is none."""
    prompts: Sequence[str] = ()
    """The texts of the prompts, if they are known: messages of the system and the user."""
    holds_prompt: bool = False
    """Whether the row holds the whole prompt. Then it may ask for any text: for a template, a dialogue, or an answer about AI."""
    cut_off: bool = False
    """Whether the model stopped because it reached the most tokens that it may write."""

    @cached_property
    def asked(self) -> str:
        """All texts of the request, joined by line breaks. A fact in here was given, so the model did not make it up."""
        return "\n".join(reading.texts_in(self.request))

    def piece(self, name: str) -> Piece | None:
        """Return the piece of this field, or None."""
        return next((piece for piece in self.pieces if piece.field == name), None)


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken clause, as a check reports it. The judge makes a Finding of it."""

    message: str
    measured: Limit | None = None
    limit: Limit | None = None
    where: Place | None = None
    severity: Severity | None = None
    """The severity of this clause, if it is not the check's default. A severity that settings give the check comes first."""


Find = Callable[[Subject, Limits], Iterable[Broken]]


@dataclass(frozen=True, slots=True)
class Check:
    """A check of content."""

    code: str
    """Its name: lower case, words joined by `_`. It is the error code of a row that fails by it."""
    severity: Severity
    measures: str
    """What it measures, in one sentence for the list of checks."""
    find: Find
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """Name -> default of each limit. A limit that is set must have the type of its default."""
    general: bool = False
    """Whether all kinds have it. Otherwise it belongs to the kinds that list it."""
