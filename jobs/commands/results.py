"""`results`: the outputs of a batch, in the form that is wanted. What is so far of an open batch is marked so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import orjson
import typer

from jobs.commands import completion
from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError
from jobs.formats.results import ResultForm
from jobs.local_files import replaced

if TYPE_CHECKING:
    from jobs.batch import Batch
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
        str | None, typer.Option("-o", "--output", metavar="PLACE", help="A file or URL; for markdown, a folder.")
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="The rows that did not complete, in their place.")] = False,
) -> None:
    """Write the outputs of a batch.

    The completed rows, in the order of the input; of an unfinished batch those so far, which is said.
    """
    from jobs.rounds import latest_done

    session: Session = ctx.obj
    found = session.batch(batch)
    done = latest_done(session.store, found.batch_id)
    if done is not None:
        _say_if_reopened(session, found, done.round)
    lines = _Counted(_lines(session, found, errors=errors))
    if form is ResultForm.MARKDOWN:
        _write_pages(lines, output)
    else:
        _write_file(session, found, lines, form, output)
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
    from jobs.published import published_lines
    from jobs.rounds import latest_done

    done = latest_done(session.store, batch.batch_id)
    if done is not None:
        yield from published_lines(session.store, done, batch.batch_id, ERRORS if errors else OUTPUT)
        return
    for row in _so_far(session, batch, completed=not errors):
        yield orjson.dumps(row) + b"\n"


def _write_file(session: Session, batch: Batch, lines: _Counted, form: ResultForm, place: str | None) -> None:
    from jobs.formats.results.writing import write_results

    if form is ResultForm.PARQUET and place is None:
        raise RequestError("Parquet is no text: name its file with -o")
    with _opened(session, place) as target:
        write_results(lines, form, lambda: _columns(session, batch), target)


def _columns(session: Session, batch: Batch) -> Sequence[Column]:
    from jobs.formats.results.tables import columns
    from jobs.kinds.registry import load_kinds

    return columns(batch.kinds, load_kinds(session.settings.templates_dir))


def _write_pages(lines: _Counted, place: str | None) -> None:
    """A file a row; each appears whole or not at all, and one of the same name is replaced."""
    from jobs.formats.results.markdown import file_name, page

    if place is None or "://" in place:
        raise RequestError("markdown is a file a row: name a folder of this machine with -o")
    folder = Path(place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for row in lines.rows():
            with replaced(folder / file_name(row)) as file:
                file.write(page(row).encode())
    except OSError as error:
        raise RequestError(f"cannot write to {place}: {error.strerror or error}") from None


def error_rows(session: Session, batch: Batch) -> Iterator[Mapping[str, Any]]:
    """The rows that did not complete: as published, else those that have failed for good so far."""
    from jobs.published import read_published
    from jobs.rounds import latest_done

    done = latest_done(session.store, batch.batch_id)
    if done is None:
        session.say(f"{batch.batch_id} is not finished: these have failed so far")
        return _so_far(session, batch, completed=False)
    _say_if_reopened(session, batch, done.round)
    return read_published(session.store, done, batch.batch_id, ERRORS)


def _say_if_reopened(session: Session, batch: Batch, round_: int) -> None:
    from jobs.rounds import is_open

    if is_open(session.store, batch.batch_id):
        session.say(f"{batch.batch_id}: round {round_ + 1} is open; this is what round {round_} published")


def _so_far(session: Session, batch: Batch, *, completed: bool) -> Iterator[Mapping[str, Any]]:
    """The rows that have an outcome in storage by now, in input order: what would be published of them at this moment."""
    import orjson

    from jobs.batch import BatchPaths
    from jobs.output_rows import published_row
    from jobs.rounds import read_round
    from jobs.segment import read_lines
    from jobs.winners import Winners

    paths = BatchPaths(batch.batch_id)
    current = read_round(session.store, batch)
    segments = [paths.segment(name) for name in session.store.list(paths.segments)]
    with TemporaryDirectory(prefix="nightpress-") as scratch:
        winners = Winners(batch.rows, sum(map(session.store.size, segments)), Path(scratch))
        for number, path in enumerate(segments):
            for place, (entry, line) in enumerate(read_lines(session.store, path)):
                if current.counts(entry):
                    winners.add(entry, number, place, line)
        for _, chosen in winners.ranges():
            for _, line in sorted(chosen.items()):
                values = orjson.loads(line)
                if (values["status"] == "completed") == completed:
                    yield published_row(batch.batch_id, values)


@contextmanager
def _opened(session: Session, place: str | None) -> Iterator[BinaryIO]:
    """A file or URL, which appears whole or not at all; standard output when there is none."""
    if place is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if "://" in place:
        from jobs.object_storage import created_url

        with created_url(place, session.settings.store_options) as target:
            yield target
        return
    path = Path(place)
    try:
        with replaced(path) as target:
            yield target
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror or error}") from None
