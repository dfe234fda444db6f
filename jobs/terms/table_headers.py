"""The header of a glossary in a table: which column holds what, and which language a column has."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from babel import Locale
from pydantic import TypeAdapter, ValidationError

from jobs.did_you_mean import did_you_mean, folded
from jobs.errors import DocumentError
from jobs.terms.cleaning import shown
from jobs.writing.fields import LanguageTag
from jobs.writing.words.words import primary

_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "source": ("source", "term", "source term", "source phrase", "source text"),
    "target": ("target", "translation", "target term", "target phrase", "target text"),
    "source_language": ("source language", "source lang", "s lang", "source locale"),
    "target_language": ("target language", "target lang", "t lang", "target locale"),
    "status": ("status", "usage", "usage status"),
    "case_sensitive": ("case sensitive", "case sensitivity", "match case"),
    "note": (
        "note",
        "notes",
        "comment",
        "comments",
        "description",
        "definition",
        "context",
        "domain",
        "part of speech",
    ),
}
"""Column -> the names that a header may have for it. Notes are for people and have no effect."""
_OF_NAME: Final = {folded(name): column for column, names in _COLUMNS.items() for name in names}
_TAG: Final[TypeAdapter[str]] = TypeAdapter(LanguageTag)


class Header(NamedTuple):
    """The columns by name, and those of languages: tag -> number of the column."""

    names: Sequence[str]
    columns: Mapping[str, int]
    languages: Mapping[str, int]


def language_tag(text: str) -> str | None:
    """Return the language that a text names, as a BCP 47 tag; None if it names none."""
    try:
        tag = _TAG.validate_python(text.strip())
    except ValidationError:
        return None
    return tag if primary(tag) in Locale("en").languages else None


@cache
def _column_language(cell: str) -> str | None:
    """Return the language that the name of a column is; None if it is none, as `key`, or `no header` with its unknown parts."""
    if (tag := language_tag(cell)) is None:
        return None
    english = Locale("en")
    return tag if all(part in english.scripts or part in english.territories for part in tag.split("-")[1:]) else None


def known_columns(line: str, delimiter: str) -> tuple[int, int]:
    """Return how many cells of a header are known with this delimiter, and how many cells there are."""
    cells = line.split(delimiter)
    known = sum(
        _column(cell.strip().strip('"')) is not None or _column_language(cell.strip('"')) is not None for cell in cells
    )
    return known, len(cells)


def _column(cell: str) -> str | None:
    return _OF_NAME.get(folded(cell))


def read_header(name: str, line: int, cells: Sequence[str]) -> Header:
    """Return the header that the cells of a line are. Raises DocumentError if they are none; `name` is that of the file."""
    columns, tags = dict[str, int](), dict[str, int]()
    for number, cell in enumerate(map(str.strip, cells)):
        if not cell:
            continue
        column, tag = _column(cell), None
        if column is None:
            tag = _column_language(cell)
            if tag is None or (tag == "id" and len(cell) == 2):
                raise _unknown_column(name, line, cell)
        known: dict[str, int] = columns if column else tags
        key = column or tag or ""
        if key in known and column != "note":
            raise DocumentError(name, f"the header has the column {cell!r} twice", "remove or rename one of them", line)
        known[key] = number
    if tags and {"source", "target"} & columns.keys():
        raise DocumentError(
            name,
            f"the header has the language {next(iter(tags))!r} beside source or target",
            "give a column for each language, or the columns source and target",
            line,
        )
    if not tags and "source" not in columns:
        what = (
            f"the header has no column source, and none of a language: its columns are {', '.join(map(shown, cells))}"
        )
        raise DocumentError(name, what, "name the columns source and target, or by languages such as en and de", line)
    return Header(cells, columns, tags)


def _unknown_column(name: str, line: int, cell: str) -> DocumentError:
    if cell.lower() == "id":
        remedy = "name it id-ID if it holds Indonesian terms; else remove it, or name it note"
        return DocumentError(name, f"the column {cell!r} may be a number or Indonesian", remedy, line)
    like = did_you_mean(cell.casefold(), _COLUMNS)
    known = "source, target, source_language, target_language, status, case_sensitive, note or a language such as de"
    return DocumentError(name, f"the column {shown(cell)} is not known{like}", f"name it {known}, or remove it", line)
