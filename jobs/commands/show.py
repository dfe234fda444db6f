"""`show`: all that is known of one row: its request, prompts, each attempt, its outcome and its usage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.batches.batch import Batch
    from jobs.batches.segments.line import Outcome


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress show night-5f2c81 7")(show)


def show(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[int, typer.Argument(metavar="ROW", min=0, help="The row's number: rows count from 0.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show all that is known of one row.

    Its request, what the model was asked first, every attempt with its worker, times and checks, its outcome and usage.
    """
    from jobs.batches.segments.files import until_read
    from jobs.commands.show_view import lines

    session: Session = ctx.obj
    found = session.batch(batch)
    if row >= found.rows:
        raise RequestError(f"{found.batch_id} has rows 0 to {found.rows - 1}")
    outcome = published_row(session, found, row)
    attempts = until_read(session.store, lambda: list(_attempts(session, found, row)))
    if outcome is None:
        session.say(f"row {row} is not published yet: its attempts are what is known so far")
    request = request_of(session, found, row)
    shown = {
        "batch_id": found.batch_id,
        "row": row,
        "request": request,
        "prompts": list(_prompts(session, request, attempts)),
        "attempts": [_shown(attempt) for attempt in attempts],
        "outcome": outcome,
    }
    if as_json:
        session.write_json(shown, indent=True)
        return
    for line in lines(shown, session.settings.prices.currency, session.out.width):
        session.write(line)


def _prompts(
    session: Session, request: Mapping[str, Any] | None, attempts: Sequence[Outcome]
) -> Iterator[Mapping[str, Any]]:
    """What the row asks first, as its kind and its templates are now. Later prompts hold what the model answered."""
    from jobs.batches.request_row import RowRequest
    from jobs.errors import RowError
    from jobs.kinds.registry import load_kinds
    from jobs.operations.preview import first_prompts

    kind = load_kinds(session.settings.templates_dir).get(request["kind"]) if request is not None else None
    if request is None or kind is None:
        return
    try:
        prompts = first_prompts(RowRequest(**request), kind)
    except (RowError, ValueError):  # the kind is another one by now
        return
    made = [templates for attempt in attempts if (templates := attempt.receipt.get("templates"))]
    for prompt in prompts:
        before = made[-1].get(prompt.label) if made else None
        yield {
            "label": prompt.label,
            "messages": [{"role": turn.role, "content": turn.content} for turn in prompt.messages],
            "text": prompt.text,
            "template_changed": before is not None and before != prompt.template_sha256,
        }


def request_of(session: Session, batch: Batch, row: int) -> Mapping[str, Any] | None:
    """The row's normalised request; None when intake refused it, or it cannot be read back. Rows stand in order."""
    from jobs.batches.input import read_rows

    for lane in batch.lanes:
        for request in read_rows(session.store, batch.batch_id, lane):
            if request.row == row:
                return dict(orjson.loads(request.to_bytes()))
            if request.row > row:
                break
    return None


def _attempts(session: Session, batch: Batch, row: int) -> Iterator[Outcome]:
    """Every line of the row in any segment, each segment once. Heads tell which files to read."""
    from jobs.batches.batch import BatchPaths
    from jobs.batches.segments.files import each_heads, each_segments, list_files

    seen: set[str] = set()
    files = list_files(session.store, BatchPaths(batch.batch_id))
    for path, heads in each_heads(session.store, [*files.alone, *files.compacted]):
        wanted = {head.name for head in heads if any(entry.row == row for entry in head.rows)} - seen
        seen |= wanted
        for _, segments in each_segments(session.store, {path: 0} if wanted else {}):
            for segment in segments:
                if segment.head.name in wanted:
                    yield from (outcome for outcome in segment.outcomes() if outcome.row == row)


def _shown(outcome: Outcome) -> Mapping[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(outcome).items() if name != "row" and value is not None}


def published_row(session: Session, batch: Batch, row: int) -> Mapping[str, Any] | None:
    """The row as it was published last; None while the batch was never published."""
    from jobs.batches.published import read_published
    from jobs.batches.rounds import latest_done

    done = latest_done(session.store, batch.batch_id)
    if done is None:
        return None
    for name in ("output.jsonl", "errors.jsonl"):
        for published in read_published(session.store, done, batch.batch_id, name):
            if published["row"] == row:
                return published
            if published["row"] > row:
                break
    return None
