"""A concept: a line of a glossary in a table, or an entry of a TBX file, with its terms in one or more languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

MOST_ALTERNATIVES: Final = 20
"""A term has at most this many right translations."""


class Status(StrEnum):
    """What a glossary says about a term."""

    PREFERRED = "preferred"
    """The term is to be used."""
    ADMITTED = "admitted"
    """The term may be used in place of the preferred one."""
    FORBIDDEN = "forbidden"
    """The term must not be used in a translation."""
    KEPT = "do_not_translate"
    """The term stays as it is in every language, as a name does."""


class ConceptTerm(NamedTuple):
    """A term in a language (a BCP 47 tag). An empty language stands for any, as of a name."""

    language: str
    text: str
    status: Status = Status.PREFERRED
    case_sensitive: bool = False


class Concept(NamedTuple):
    """A concept: the number of its line in its file, and its terms.

    `source_language` is the only language from which it is translated; None: any of its languages.
    """

    line: int
    terms: tuple[ConceptTerm, ...]
    source_language: str | None = None


@dataclass(frozen=True, slots=True)
class Glossary:
    """A file of terms that was read: its name, the sha256 of its bytes in hex, and its concepts.

    `untranslated` counts the lines of a table that give a term no translation yet; they have no effect. If `is_strict`, as for a
    table, a term in the first language of its line has one preferred translation. In the other directions, and in TBX, a term may
    belong to several concepts, and each has its own.
    """

    name: str
    sha256: str
    concepts: Sequence[Concept]
    untranslated: int = 0
    is_strict: bool = True
