"""`results`: writes the outputs of a batch, in any format. If the batch is unfinished, writes the outputs so far and says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import orjson
import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.commands.views.standard_output import reason_of, takes_no_more
from jobs.errors import OutputUnavailable, RequestError
from jobs.formats.results.form import ResultForm

if TYPE_CHECKING:
    from jobs.batches.batch import Batch
    from jobs.findings import Verdict
    from jobs.formats.results.tables import Column
    from jobs.operations.results import Results


class Only(StrEnum):
    """The verdict of the rows that are written."""

    FIT = "fit"
    REVIEW = "review"
    FAILED = "failed"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress results night-5f2c81 --format csv -o articles.csv")(results)


def results(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    form: Annotated[ResultForm, typer.Option("--format", help="The format to write.")] = ResultForm.JSONL,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="PLACE", help="A file or folder, or its URL; for markdown and document, a folder."
        ),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="The rows that did not complete, in place of the others.")
    ] = False,
    only: Annotated[
        Only | None,
        typer.Option(metavar="VERDICT", help="fit: rows to publish; review: rows to look at; failed: the others."),
    ] = None,
) -> None:
    """Write the outputs of a batch.

    Writes the completed rows in the order of the input. For an unfinished batch: the rows so far; a message says so.
    """
    session: Session = ctx.obj
    output = None if output == "-" else output
    errors = errors or only is Only.FAILED
    if errors and only in (Only.FIT, Only.REVIEW):
        raise RequestError(f"rows with the verdict {only} completed: leave out --errors")
    verdict = cast("Verdict | None", only and only.value)
    if form is ResultForm.DOCUMENT:
        raise typer.Exit(_write_documents(session, session.batch(batch).batch_id, output, verdict, errors=errors))
    rows = session.client.results(session.batch(batch).batch_id, errors=errors, only=verdict)
    say_if_reopened(session, rows)
    lines = _Counted(rows.lines())
    if form is ResultForm.MARKDOWN:
        _write_pages(session, lines, output)
    else:
        _write_file(session, rows.batch, lines, form, output, "errors" if errors else "output")
    if only in (Only.FIT, Only.REVIEW) and rows.unjudged:
        s = "s were" * (rows.unjudged != 1) or " was"
        session.say(f"{rows.batch.batch_id}: {rows.unjudged:,} completed row{s} not checked, so without a verdict")
    if rows.round is None:
        session.say(f"{rows.batch.batch_id} is not finished: {lines.count:,} of {rows.batch.rows:,} rows so far")


def say_if_reopened(session: Session, rows: Results) -> None:
    """Say which round the rows are from, if a later round is open."""
    if rows.round is not None and not rows.is_finished:
        session.say(f"{rows.batch.batch_id}: round {rows.round + 1} is open; this is what round {rows.round} published")


def _write_documents(session: Session, batch_id: str, place: str | None, only: Verdict | None, *, errors: bool) -> int:
    """Write the translated documents, and say what stays untranslated. Returns the exit status."""
    from jobs.commands.views.documents import lines

    if errors:
        raise RequestError("the rows that did not complete have no document: leave out --format document")
    if place is None:
        raise RequestError("a document is a file a language: name a folder with -o")
    rows = session.client.results(batch_id)
    say_if_reopened(session, rows)
    try:
        report = session.client.write_documents(batch_id, place, verdicts=None if only is None else [only])
    except OSError as error:
        raise _unwritten(error.filename or place, error) from None
    for line in lines(report, place, is_finished=rows.round is not None):
        session.say(line)
    if rows.round is None:
        session.say(f"{batch_id} is not finished: segments that are not done stay as in the source")
    return 0 if report.is_whole and rows.round is not None else 1


class _Counted:
    """Yields lines, and counts the lines that the caller has read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Return the same lines, each parsed as a row."""
        return map(orjson.loads, self)


def _write_file(
    session: Session, batch: Batch, lines: _Counted, form: ResultForm, place: str | None, name: str
) -> None:
    """Write the lines to the file `place`, or to the file `name` if `place` is a folder, or to standard output if it is None."""
    from jobs.formats.results.writing import SUFFIXES, write_results
    from jobs.store.destinations import file_in, is_folder

    if place is None:
        if form is ResultForm.PARQUET:
            raise RequestError("Parquet is not text: name its file with -o")
        sys.stdout.flush()
        write_results(lines, form, lambda: _columns(session, batch), sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    into = is_folder(place)
    target = file_in(place, f"{name}.{SUFFIXES[form]}") if into else place
    with opened(session, target, with_folders=into) as file:
        write_results(lines, form, lambda: _columns(session, batch), file)


def _columns(session: Session, batch: Batch) -> Sequence[Column]:
    from jobs.formats.results.tables import columns

    return columns(batch.kinds, session.client.kinds, batch.extra_columns)


def _write_pages(session: Session, lines: _Counted, place: str | None) -> None:
    """Write a file for each row. An existing file of the same name is replaced."""
    from jobs.formats.results.markdown import Pages
    from jobs.store.destinations import FolderDestination, file_in
    from jobs.urls import local_path

    if place is None:
        raise RequestError("markdown is a file a row: name a folder with -o")
    if (path := local_path(place)) is not None and path.exists() and not path.is_dir():
        raise RequestError(f"markdown is a file a row, and {place} is a file: name a folder with -o")
    pages, folder = Pages(), FolderDestination(place, session.settings.options_for(place))
    for row in lines.rows():
        name = pages.name(row)
        try:
            folder.write(name, pages.text(row).encode())
        except OSError as error:
            raise _unwritten(file_in(place, name), error) from None


@contextmanager
def opened(session: Session, place: str, *, with_folders: bool) -> Iterator[BinaryIO]:
    """Open a new file for writing at a path or URL, where it appears once it is whole. Raises RequestError, StoreUnavailable."""
    from jobs.store.destinations import write_destination

    try:
        with write_destination(place, session.settings.options_for(place), with_folders=with_folders) as target:
            yield target
    except OSError as error:
        raise _unwritten(place, error) from None


def _unwritten(place: str, error: OSError) -> OutputUnavailable | RequestError:
    kind = OutputUnavailable if takes_no_more(error) else RequestError
    return kind(f"cannot write {place}: {reason_of(error)}")
