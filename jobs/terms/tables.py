"""Glossaries in tables: CSV with a header, as spreadsheet programs write it, with commas, semicolons, tabs or bars.

A table has either the columns `source` and `target`, or a column for each language, named by its tag or its English name (`de`,
`pt-BR`, `German`). In the first form, the languages stand in the columns `source_language` and `target_language`, or are given
with the file. Both forms may have `status`, `case_sensitive` and `note`.

    source,target,source_language,target_language,status
    invoice,Rechnung|Faktura,en,de,
    mobile phone,Handy,en,de,forbidden
    Nightpress,,,,do_not_translate

A bar in a cell parts several right translations, the best first. A line whose status is `forbidden` forbids its targets for
texts that have its source, or, without a source, for all texts; with a column for each language, the first that has a term is
the source. A line without a translation has no effect yet.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from babel import Locale
from pydantic import TypeAdapter, ValidationError

from jobs.did_you_mean import did_you_mean, folded
from jobs.errors import DocumentError
from jobs.terms.cleaning import cleaned, shown
from jobs.terms.concept import Concept, ConceptTerm, Status
from jobs.writing.fields import LanguageTag
from jobs.writing.words.words import primary

DELIMITERS: Final = ",;\t|"
MOST_ALTERNATIVES: Final = 20
"""A term has at most this many right translations."""

MOST_CELL: Final = 131_072
"""The csv module reads cells of at most this many characters. A quote that is never closed makes a longer one."""

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
_STATUSES: Final = {
    folded(name): status
    for status, names in {
        Status.PREFERRED: ("", "preferred", "approved", "standard"),
        Status.ADMITTED: ("admitted", "allowed"),
        Status.FORBIDDEN: ("forbidden", "deprecated", "not recommended", "banned"),
        Status.KEPT: ("do not translate", "do_not_translate", "dnt", "untranslatable", "name", "brand", "keep"),
    }.items()
    for name in names
}
_TRUTH: Final = {"": False, "false": False, "no": False, "0": False, "n": False} | dict.fromkeys(
    ("true", "yes", "1", "y", "x"), True
)
_TAG: Final[TypeAdapter[str]] = TypeAdapter(LanguageTag)


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a table of sources and targets that has no columns for them."""

    source: str | None = None
    target: str | None = None


class _Header(NamedTuple):
    """The columns by name, and those of languages: tag -> number of the column."""

    names: Sequence[str]
    columns: Mapping[str, int]
    languages: Mapping[str, int]


def read_table(text: str, name: str, languages: Languages, untranslated: Callable[[], object]) -> Iterator[Concept]:
    """Yield the concepts of a table.

    Args:
        text: The table, without a byte order mark.
        name: The name of the file, for messages.
        languages: The languages of a table of sources and targets.
        untranslated: Is called for each line that gives no translation yet.

    Raises:
        DocumentError: The table is not valid. The message names the line, the column and the remedy.
    """
    lines = list(io.StringIO(text, newline=""))
    skipped = 1 if lines and lines[0].strip().lower() in {f"sep={one}" for one in DELIMITERS} else 0
    skipped += next((n for n, line in enumerate(lines[skipped:]) if line.strip(" \t\r\n,;|")), len(lines))
    if skipped >= len(lines):
        raise DocumentError(name, "it is empty", "give it a header such as source,target and a line for each term")
    delimiter = max(DELIMITERS, key=lambda one: _known(lines[skipped], one))
    rows = _rows(lines[skipped:], name, delimiter, skipped)
    header = _header(name, *next(rows))
    reader = _Reader(name, header, languages, delimiter)
    for line, cells in rows:
        if any(cell.strip() for cell in cells):
            concept = reader.concept(line, cells)
            if concept is None:
                untranslated()
            else:
                yield concept


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


def _rows(lines: Sequence[str], name: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row with the number of its first line."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = skipped + 1
    try:
        for cells in reader:
            yield line, cells
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error) or "field limit" in str(error):
            what, remedy = "a quote is opened and never closed", "close it, or double a quote inside a cell"
        else:
            what, remedy = (
                f"it is not a row of a CSV: {error}",
                "put cells with quotes in quotes, and double those inside",
            )
        raise DocumentError(name, what, remedy, line) from None


def _known(line: str, delimiter: str) -> tuple[int, int]:
    """Return how many cells of a header are known with this delimiter, and how many cells there are."""
    cells = line.split(delimiter)
    known = sum(
        _column(cell.strip().strip('"')) is not None or _column_language(cell.strip('"')) is not None for cell in cells
    )
    return known, len(cells)


def _column(cell: str) -> str | None:
    return _OF_NAME.get(folded(cell))


def _header(name: str, line: int, cells: Sequence[str]) -> _Header:
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
    return _Header(cells, columns, tags)


def _unknown_column(name: str, line: int, cell: str) -> DocumentError:
    if cell.lower() == "id":
        remedy = "name it id-ID if it holds Indonesian terms; else remove it, or name it note"
        return DocumentError(name, f"the column {cell!r} may be a number or Indonesian", remedy, line)
    like = did_you_mean(cell.casefold(), _COLUMNS)
    known = "source, target, source_language, target_language, status, case_sensitive, note or a language such as de"
    return DocumentError(name, f"the column {shown(cell)} is not known{like}", f"name it {known}, or remove it", line)


class _Reader:
    def __init__(self, name: str, header: _Header, languages: Languages, delimiter: str) -> None:
        self._name, self._header, self._languages = name, header, languages
        self._parts_cells = delimiter != "|"

    def concept(self, line: int, cells: Sequence[str]) -> Concept | None:
        """Return the concept of a row; None if it has no translation."""
        if any(cell.strip() for cell in cells[len(self._header.names) :]):
            what = f"it has {len(cells)} cells, and the header {len(self._header.names)}"
            raise DocumentError(self._name, what, "put a cell with a delimiter in quotes", line)
        status, case_sensitive = self._status(cells, line), self._case_sensitive(cells, line)
        if self._header.languages:
            return self._of_languages(cells, line, status, case_sensitive)
        return self._pair(cells, line, status, case_sensitive)

    def _of_languages(self, cells: Sequence[str], line: int, status: Status, case_sensitive: bool) -> Concept | None:
        """Return the concept of a row with a cell for each language. A forbidden one is about translations from its first."""
        terms = [
            term
            for tag, number in self._header.languages.items()
            for term in self._terms(cells, line, number, "" if status is Status.KEPT else tag, status, case_sensitive)
        ]
        languages = list(dict.fromkeys(term.language for term in terms))
        if not terms or (len(languages) == 1 and status not in (Status.KEPT, Status.FORBIDDEN)):
            return None
        is_pair = status is Status.FORBIDDEN and len(languages) > 1
        return Concept(line, tuple(terms), languages[0] if is_pair else None)

    def _pair(self, cells: Sequence[str], line: int, status: Status, case_sensitive: bool) -> Concept | None:
        """Return the concept of a row of a source and a target."""
        columns = self._header.columns
        source = self._language(cells, line, "source_language", self._languages.source)
        target = self._language(cells, line, "target_language", self._languages.target)
        sources = self._terms(cells, line, columns["source"], source or "", status, case_sensitive)[:1]
        targets = self._terms(cells, line, columns.get("target", -1), target or "", status, case_sensitive)
        if status is Status.KEPT:
            if targets and sources and targets[0].text != sources[0].text:
                what = f"{shown(sources[0].text)} is not to be translated, and has the target {shown(targets[0].text)}"
                raise DocumentError(self._name, what, "remove the target, or the status", line)
            return Concept(line, tuple(sources or targets), source) if sources or targets else None
        if not targets and status is not Status.FORBIDDEN:
            return None
        if not targets:
            what = "a forbidden line has no target: the target is what must not stand in a translation"
            raise DocumentError(self._name, what, "write the forbidden word into the column target", line)
        if not sources and status is not Status.FORBIDDEN:
            raise DocumentError(self._name, "the source is empty", "give the term that is translated", line)
        if target is None or (source is None and sources):
            what = "the languages of the term are not known"
            remedy = "add the columns source_language and target_language, or give both languages with the file"
            raise DocumentError(self._name, what, remedy, line)
        return Concept(line, (*sources, *targets), source if sources else None)

    def _terms(
        self, cells: Sequence[str], line: int, number: int, language: str, status: Status, case_sensitive: bool
    ) -> list[ConceptTerm]:
        """Return the terms of a cell. Those after the first are right too, but not preferred."""
        if not 0 <= number < len(cells):
            return []
        parts = cells[number].split("|") if self._parts_cells else [cells[number]]
        column = self._header.names[number].strip()
        found = list(dict.fromkeys(filter(None, (cleaned(part, self._name, line, column) for part in parts))))
        if len(found) > MOST_ALTERNATIVES:
            what = f"the column {column!r} has {len(found)} translations"
            raise DocumentError(self._name, what, f"give at most {MOST_ALTERNATIVES}", line)
        others = Status.ADMITTED if status is Status.PREFERRED else status
        return [
            ConceptTerm(language, text, others if n else status, case_sensitive or status is Status.KEPT)
            for n, text in enumerate(found)
        ]

    def _cell(self, cells: Sequence[str], column: str) -> str:
        number = self._header.columns.get(column, -1)
        return cells[number].strip() if 0 <= number < len(cells) else ""

    def _status(self, cells: Sequence[str], line: int) -> Status:
        text = self._cell(cells, "status")
        status = _STATUSES.get(folded(text) if text else "")
        if status is None:
            known = ", ".join(Status)
            raise DocumentError(self._name, f"the status {shown(text)} is not known", f"give one of {known}", line)
        return status

    def _case_sensitive(self, cells: Sequence[str], line: int) -> bool:
        text = self._cell(cells, "case_sensitive")
        truth = _TRUTH.get(text.casefold())
        if truth is None:
            raise DocumentError(self._name, f"case_sensitive is {shown(text)}", "give true or false", line)
        return truth

    def _language(self, cells: Sequence[str], line: int, column: str, given: str | None) -> str | None:
        text = self._cell(cells, column)
        if not text:
            return given
        tag = language_tag(text)
        if tag is None:
            what = f"the column {column!r} has {shown(text)}, which is not a language tag of BCP 47"
            raise DocumentError(self._name, what, "give a tag such as de or pt-BR", line)
        return tag
