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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.did_you_mean import folded
from jobs.errors import DocumentError
from jobs.terms.cleaning import cleaned, shown
from jobs.terms.concept import MOST_ALTERNATIVES, Concept, ConceptTerm, Status
from jobs.terms.table_headers import Header, known_columns, language_tag, read_header

DELIMITERS: Final = ",;\t|"
MOST_CELL: Final = 131_072
"""The csv module reads cells of at most this many characters. A quote that is never closed makes a longer one."""

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


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a table of sources and targets that has no columns for them."""

    source: str | None = None
    target: str | None = None


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
    delimiter = max(DELIMITERS, key=lambda one: known_columns(lines[skipped], one))
    rows = _rows(lines[skipped:], name, delimiter, skipped)
    header = read_header(name, *next(rows))
    reader = _Reader(name, header, languages, delimiter)
    for line, cells in rows:
        if any(cell.strip() for cell in cells):
            concept = reader.concept(line, cells)
            if concept is None:
                untranslated()
            else:
                yield concept


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


class _Reader:
    def __init__(self, name: str, header: Header, languages: Languages, delimiter: str) -> None:
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
