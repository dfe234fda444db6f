"""The vocabulary of documents: segments and slots, and the protocol of a format.

A *segment* is a text that is translated by itself: a paragraph, a cell of a table, a message, one plural form of a message. A
*slot* is a part of the source that is written anew when one of its segments has a translation. Most slots hold one segment; a
plural message holds one for each form of the target language, and a paragraph one more for each text in its tags (`alt`).

Most files are in one language, and a translation is another file. A format that *holds languages* has all of them in one file, as
a table with a column for each does. It reads `Options.target_languages`, yields a segment for each text and language, and writes
all translations back into the one file. In such a file the id of a segment is unique within its language alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from jobs.documents.source import Source
from jobs.marks.mark import Mark


class State(StrEnum):
    """Whether a segment is translated in its source."""

    NEW = "new"
    FUZZY = "fuzzy"
    """There is a translation that a person has to look at."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Segment:
    """A text to translate.

    `id` names it within its document, and is the same each time that the same bytes are read. `text` is what is to be
    translated, with its marks as they stand in the source; `marks` are their places in `text`. `target` is the translation that
    the source has already, else empty. `kind` says what it is (`heading`, `cell`, `message`, `attribute alt`), and `context` what
    helps to translate it. `most` is the number of characters that a translation may have. `language` is the language into which
    it is translated, as `Options.target_languages` has it; empty in a format that does not hold languages.
    """

    id: str
    text: str
    kind: str
    marks: tuple[Mark, ...] = ()
    context: str = ""
    target: str = ""
    state: State = State.NEW
    most: int | None = None
    language: str = ""

    @property
    def key(self) -> "str | tuple[str, str]":
        """What names the segment among all of its document: its id, with its language if it has one."""
        return (self.id, self.language) if self.language else self.id


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the source that holds segments.

    `raw` is the part as it stands. `write` takes a text for each segment, in their order, or None for a segment that has no
    translation, and returns the part anew; it raises Damaged for a text that cannot stand there. A slot without segments is
    written for a target language alone, as the header of a catalogue.
    """

    raw: str
    segments: tuple[Segment, ...]
    write: Callable[[Sequence[str | None]], str]
    line: int = 0
    """The line of the source in which the slot begins, counted from 1; 0 if it is not known."""


Piece = str | Slot


class DocumentFormat(Protocol):
    """A format of documents."""

    @property
    def name(self) -> str:
        """The name of the format, as an option of a command gives it."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The ends of the names of such files, in lower case, with their point."""
        ...

    @property
    def holds_languages(self) -> bool:
        """Whether one file holds all languages, so that a document is translated into all of them at once."""
        ...

    def detect(self, head: str) -> bool:
        """Whether a file that begins with this text has the format, whatever its name is."""
        ...

    def pieces(self, source: Source) -> Iterator[Piece]:
        """Yield the pieces of a source. Joined, they are its whole text.

        Raises:
            DocumentError: The source cannot be read.
        """
        ...
