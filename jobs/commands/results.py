"""`results`: the outputs of a batch, in the form that is wanted. What is so far of an open batch is marked so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import orjson
import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError
from jobs.formats.results.form import ResultForm
from jobs.store.destinations import file_in, is_folder, write_destination
from jobs.urls import local_path

if TYPE_CHECKING:
    from jobs.batches.batch import Batch
    from jobs.formats.results.tables import Column

OUTPUT = "output.jsonl"
ERRORS = "errors.jsonl"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress results night-5f2c81 --format csv -o articles.csv")(results)


def results(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    form: Annotated[ResultForm, typer.Option("--format", help="How to write them.")] = ResultForm.JSONL,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PLACE", help="A file or folder, or its URL; for markdown, a folder."),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="The rows that did not complete, in their place.")] = False,
) -> None:
    """Write the outputs of a batch.

    The completed rows, in the order of the input; of an unfinished batch those so far, which is said.
    """
    from jobs.batches.rounds import latest_done

    session: Session = ctx.obj
    found = session.batch(batch)
    done = latest_done(session.store, found.batch_id)
    if done is not None:
        _say_if_reopened(session, found, done.round)
    lines = _Counted(_lines(session, found, errors=errors))
    if form is ResultForm.MARKDOWN:
        _write_pages(session, lines, output)
    else:
        _write_file(session, found, lines, form, output, "errors" if errors else "output")
    if done is None:
        session.say(f"{found.batch_id} is not finished: {lines.count:,} of {found.rows:,} rows so far")


class _Counted:
    """Lines, and how many they were."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The same, parsed."""
        return map(orjson.loads, self)


def _lines(session: Session, batch: Batch, *, errors: bool) -> Iterator[bytes]:
    """The rows as the published files have them, or would have them by now."""
    from jobs.batches.published import published_lines
    from jobs.batches.rounds import latest_done

    done = latest_done(session.store, batch.batch_id)
    if done is not None:
        yield from published_lines(session.store, done, batch.batch_id, ERRORS if errors else OUTPUT)
        return
    for row in _so_far(session, batch, completed=not errors):
        yield orjson.dumps(row) + b"\n"


def _write_file(
    session: Session, batch: Batch, lines: _Counted, form: ResultForm, place: str | None, name: str
) -> None:
    """One file; in a folder, under its own name."""
    from jobs.formats.results.writing import SUFFIXES, write_results

    if place is None:
        if form is ResultForm.PARQUET:
            raise RequestError("Parquet is no text: name its file with -o")
        sys.stdout.flush()
        write_results(lines, form, lambda: _columns(session, batch), sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    into = is_folder(place)
    target = file_in(place, f"{name}.{SUFFIXES[form]}") if into else place
    with _opened(session, target, with_folders=into) as file:
        write_results(lines, form, lambda: _columns(session, batch), file)


def _columns(session: Session, batch: Batch) -> Sequence[Column]:
    from jobs.formats.results.tables import columns
    from jobs.kinds.registry import load_kinds

    return columns(batch.kinds, load_kinds(session.settings.templates_dir))


def _write_pages(session: Session, lines: _Counted, place: str | None) -> None:
    """A file a row; one of the same name is replaced."""
    from jobs.formats.results.markdown import Pages

    if place is None:
        raise RequestError("markdown is a file a row: name a folder with -o")
    if (path := local_path(place)) is not None and path.exists() and not path.is_dir():
        raise RequestError(f"markdown is a file a row, and {place} is a file: name a folder with -o")
    pages = Pages()
    for row in lines.rows():
        with _opened(session, file_in(place, pages.name(row)), with_folders=True) as file:
            file.write(pages.text(row).encode())


def error_rows(session: Session, batch: Batch) -> Iterator[Mapping[str, Any]]:
    """The rows that did not complete: as published, else those that have failed for good so far."""
    from jobs.batches.published import read_published
    from jobs.batches.rounds import latest_done

    done = latest_done(session.store, batch.batch_id)
    if done is None:
        session.say(f"{batch.batch_id} is not finished: these have failed so far")
        return _so_far(session, batch, completed=False)
    _say_if_reopened(session, batch, done.round)
    return read_published(session.store, done, batch.batch_id, ERRORS)


def _say_if_reopened(session: Session, batch: Batch, round_: int) -> None:
    from jobs.batches.rounds import is_open

    if is_open(session.store, batch.batch_id):
        session.say(f"{batch.batch_id}: round {round_ + 1} is open; this is what round {round_} published")


def _so_far(session: Session, batch: Batch, *, completed: bool) -> Iterator[Mapping[str, Any]]:
    """The rows that have an outcome in storage by now, in input order: what would be published of them at this moment."""
    import orjson

    from jobs.batches.outcome_index import OutcomeIndex
    from jobs.batches.segments.files import until_read
    from jobs.publishing.candidates import add_candidates
    from jobs.publishing.ledger import Ledger
    from jobs.publishing.winners import Winners

    def collected() -> Winners:
        index = OutcomeIndex(session.store, batch)
        index.refresh()
        winners = Winners(batch.rows, sum(index.files.values()), Path(mkdtemp(dir=scratch)))
        add_candidates(session.store, index, winners, Ledger())
        return winners

    with TemporaryDirectory(prefix="nightpress-") as scratch:
        for _, chosen in until_read(session.store, collected).ranges():
            for _, winner in sorted(chosen.items()):
                values = orjson.loads(winner.text)
                if (values["status"] == "completed") == completed:
                    yield values


@contextmanager
def _opened(session: Session, place: str, *, with_folders: bool) -> Iterator[BinaryIO]:
    try:
        with write_destination(place, session.settings.options_for(place), with_folders=with_folders) as target:
            yield target
    except OSError as error:
        raise RequestError(f"cannot write {place}: {error.strerror or error}") from None
