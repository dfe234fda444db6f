"""`results`: the outputs of a batch. Published ones are given byte for byte; those so far of an open batch are marked so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import orjson
import typer

from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.batch import Batch

OUTPUT = "output.jsonl"
ERRORS = "errors.jsonl"


class Form(StrEnum):
    """How results are written."""

    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress results night-5f2c81 -o articles.jsonl")(results)


def results(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH)],
    form: Annotated[Form, typer.Option("--format", help="How to write them.")] = Form.JSONL,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file, in place of standard output.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="The rows that did not complete, in their place.")] = False,
) -> None:
    """Write the outputs of a batch.

    The completed rows, in the order of the input; of an unfinished batch those so far, which is said.
    """
    from jobs.published import published_lines
    from jobs.rounds import latest_done

    del form  # one so far
    session: Session = ctx.obj
    found = session.batch(batch)
    done = latest_done(session.store, found.batch_id)
    name = ERRORS if errors else OUTPUT
    with _opened(output) as target:
        if done is not None:
            _say_if_reopened(session, found, done.round)
            target.writelines(published_lines(session.store, done, found.batch_id, name))
            return
        count = 0
        for row in _so_far(session, found, completed=not errors):
            target.write(orjson.dumps(row) + b"\n")
            count += 1
    session.say(f"{found.batch_id} is not finished: {count:,} of {found.rows:,} rows so far")


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
    from jobs.batch import BatchPaths
    from jobs.output_rows import error_row, output_row
    from jobs.rounds import read_round
    from jobs.segment import parse, read_lines
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
                outcome = parse(line)
                if (outcome.status == "completed") == completed:
                    yield (output_row if completed else error_row)(batch.batch_id, outcome)


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """The file, which appears whole or not at all; standard output when there is none."""
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as target:
            yield target
        partial.replace(path)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
