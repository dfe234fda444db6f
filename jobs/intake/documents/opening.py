"""Opens the input that a command names, which is documents or one file of rows, and reads its records."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from jobs.did_you_mean import same_name
from jobs.documents.batches.kept import TABLE_FIELDS
from jobs.errors import RequestError
from jobs.formats.columns.choice import Columns
from jobs.formats.detection import json_records
from jobs.formats.detection import records as records_of
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import numbered
from jobs.formats.record import Record
from jobs.formats.source import InputLimits, decompressed, open_source, source_name
from jobs.intake.column_options import checked_fields
from jobs.intake.documents.finding import TABLES, find_documents
from jobs.intake.documents.languages import languages_of
from jobs.intake.documents.staged import KIND, DocumentInput
from jobs.intake.row_fields import given_field
from jobs.intake.row_reader import RowReader
from jobs.settings import Settings

_ROWS_TOO: Final = frozenset({"csv", "json"})
"""The formats of documents whose files may hold rows too, of which options choose the columns."""

Input = Iterable[bytes] | BinaryIO | DocumentInput
"""What intake reads: lines of JSON, a binary file in any format of rows, or documents."""


class InputOptions(Protocol):
    """What `IntakeOptions` says of the input."""

    @property
    def kind(self) -> str | None: ...
    @property
    def set(self) -> tuple[str, ...]: ...
    @property
    def form(self) -> InputFormat | None: ...
    @property
    def document(self) -> str | None: ...
    @property
    def with_done(self) -> bool: ...
    @property
    def columns(self) -> Columns: ...


@contextmanager
def open_input(
    places: Sequence[str], options: InputOptions, settings: Settings
) -> Iterator[tuple[BinaryIO | DocumentInput, str | None]]:
    """Open the input at paths or URLs: the documents that are there, or the one file of rows.

    Yields the input, and the name of its file or folder; None if it has no name. Raises RequestError, StoreUnavailable.
    """
    if (documents := document_input(places, options)) is not None:
        yield documents, source_name(places[0].rstrip("/") or places[0]) if len(places) == 1 else None
    elif len(places) != 1:
        raise RequestError("one file of rows makes a batch: enqueue them one by one")
    else:
        with open_source(places[0], settings.options_for(places[0])) as file:
            yield file, source_name(places[0])


def document_input(places: Sequence[str], options: InputOptions) -> DocumentInput | None:
    """Return the documents at these places as an input; None if they hold rows. Raises RequestError if an option is wrong."""
    given = dict(map(given_field, options.set))
    kind = options.kind if options.kind is not None else given.get("kind")
    is_kind = isinstance(kind, str) and same_name(kind, [KIND]) is not None
    is_translation = is_kind or (kind is None and "target_language" in given)
    if options.form is not None and not (options.form is InputFormat.CSV and is_translation):
        return None
    form = options.document
    if form is None and "source" in dict(options.columns.fields) and places[0].lower().endswith(TABLES):
        form = "csv"  # no field of a row is called so
    found = find_documents(places, form, is_translation=is_translation, has_target="target_language" in given)
    if found is None or (found[0].form.name in _ROWS_TOO and "text" in dict(options.columns.fields)):
        return None
    if kind is not None and not is_kind:
        raise RequestError(f"{found[0].name} is a document ({found[0].form.name}): it takes --kind {KIND}, not {kind}")
    source, targets = languages_of(given)
    chosen = _table_columns(options.columns, targets)
    if chosen is None or (chosen and not all(one.form.holds_languages for one in found)):
        if len(found) == 1 and found[0].form.name in _ROWS_TOO:
            return None
        raise RequestError(
            "--map of a document names columns of a string table, as source=English, fr=French, key, context and max_length; "
            "--extra and --header are for rows"
        )
    return DocumentInput(found, source, targets, options.with_done, chosen)


def _table_columns(columns: Columns, languages: Sequence[str]) -> Mapping[str, str] | None:
    """Return the columns of a string table by what they hold; None if they are columns of rows."""
    known = {_folded(one): one for one in (*TABLE_FIELDS, *languages)}
    if columns.extra or columns.are_of_csv or any(_folded(one) not in known for one, _ in columns.fields):
        return None
    return {known[_folded(one)]: column for one, column in columns.fields}


def _folded(name: str) -> str:
    return name.replace("_", "-").lower()


@contextmanager
def input_records(
    lines: Input, reader: RowReader, options: InputOptions, settings: Settings
) -> Iterator[Iterator[Record]]:
    """Yield the records of an input. Those of documents are read from copies on local disk."""
    if not isinstance(lines, DocumentInput):
        columns = checked_fields(options.columns, reader.known)
        with row_records(lines, reader, options.form, columns, settings) as records:
            yield records
        return
    with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch, ExitStack() as files:
        yield lines.staged(Path(scratch), settings, files).records()


@contextmanager
def row_records(
    lines: Iterable[bytes] | BinaryIO,
    reader: RowReader,
    form: InputFormat | None,
    columns: Columns,
    settings: Settings,
) -> Iterator[Iterator[Record]]:
    """Yield the records of a file of rows, or of lines of JSON."""
    if hasattr(lines, "read"):
        with decompressed(cast("BinaryIO", lines), InputLimits.of(settings, lines)) as file:
            yield records_of(file, reader, form, columns)
    else:
        yield json_records(numbered(lines), reader, columns)
