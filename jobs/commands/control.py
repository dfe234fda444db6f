"""`cancel`, `publish`, `pause` and `resume`: what an operator does to batches and lanes."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.options.review import AcceptReview
from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError, StoreUnavailable

LANE = "A lane: its model's name, or as `nightpress models list` shows it."
"""The help of every argument that names a lane."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: nightpress cancel night-5f2c81")(cancel)
    app.command(epilog="Example: nightpress publish night-5f2c81")(publish)
    app.command(epilog="Example: nightpress pause smollm2-135m")(pause)
    app.command(epilog="Example: nightpress resume smollm2-135m")(resume)


def cancel(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
) -> None:
    """Start no further row of a batch.

    Rows that have an outcome keep it; the others are published as cancelled.
    """
    session: Session = ctx.obj
    found = session.client.cancel(session.batch(batch).batch_id)
    if found.reason == "expired":
        session.say(f"{found.batch_id} has expired already, at {found.at.isoformat()}")
    if found.dropped is not None:
        session.say(f"{found.dropped:,} waiting rows were taken off the queue")
    if found.queue_fault is not None:
        session.say(f"nightpress: the queue learns of it later: {found.queue_fault}")
    session.say(f"{found.batch_id} is {found.reason}: no further row is started")
    session.say(f"  its workers publish it; without any: nightpress publish {found.batch_id}")


def publish(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    accept_review: AcceptReview = False,
) -> None:
    """Publish a batch, or say what is missing.

    Workers do this by themselves, as soon as every row has its outcome.
    """
    from jobs.batches.batch import Done
    from jobs.operations.status import describe_counts
    from jobs.publishing.delivery import undelivered_url

    session: Session = ctx.obj
    found = session.batch(batch)
    result = session.client.publish(found.batch_id)
    if not isinstance(result, Done):
        rows = ", ".join(map(str, result.rows)) + (", ..." if result.missing > len(result.rows) else "")
        session.say(f"{found.batch_id}: {result.missing:,} of {found.rows:,} rows have no outcome yet: {rows}")
        session.say(f"  nightpress work runs them; nightpress cancel {found.batch_id} gives them up")
        raise typer.Exit(1)
    counts = describe_counts(result.counts, result.verdicts)
    session.say(f"{found.batch_id}: round {result.round} is published, {counts}")
    if place := undelivered_url(session.store, found.batch_id):
        raise StoreUnavailable(f"{found.batch_id}: its outputs have not been taken to {place}; a fleet tries again")
    accept_review = accept_review or session.settings.accept_review
    raise typer.Exit(0 if result.is_kept(found.rows, accept_review=accept_review) else 1)


def pause(
    ctx: typer.Context, lane: Annotated[str, typer.Argument(metavar="LANE", help=LANE, autocompletion=completion.lanes)]
) -> None:
    """Start no further row of a lane.

    All rows that wait for this lane keep waiting; rows that run already are finished.
    """
    session: Session = ctx.obj
    if lane not in _lanes(session) and _is_batch(session, lane):
        raise RequestError(f"{lane!r} is a batch, and lanes are paused: to give the batch up, nightpress cancel {lane}")
    known = _known(session, lane)
    session.needed_queue().pause(known)
    session.say(f"{lane} is paused; to go on: nightpress resume {lane}")


def resume(
    ctx: typer.Context,
    lane: Annotated[
        str,
        typer.Argument(metavar="LANE|BATCH", help=f"{LANE} Or a batch.", autocompletion=completion.lanes_and_batches),
    ],
    budget: Annotated[
        str | None, typer.Option(metavar="+AMOUNT", help="Add to the budget of a batch, such as +10EUR.")
    ] = None,
) -> None:
    """Resume a lane or batch that was paused, quoted or out of money.

    A batch that has used up its budget goes on with the rows that are left.
    """
    session: Session = ctx.obj
    if lane not in _lanes(session) and _is_batch(session, lane):
        batch_id = session.batch(lane).batch_id
        whole = session.client.resume(batch_id, budget=budget)
        session.say(f"{batch_id} goes on" + (f", with a budget of {whole}" if whole is not None else ""))
        return
    if budget is not None:
        raise RequestError(f"--budget is for a batch, and {lane!r} is a lane or no batch at all")
    known = _known(session, lane, "lane and no batch")
    session.needed_queue().resume(known)
    session.say(f"{lane} goes on")


def _known(session: Session, lane: str, what: str = "lane") -> str:
    """Return the lane if a model or the queue has it. If not, raise RequestError, because pausing a misspelt lane would do
    nothing.
    """
    from jobs.did_you_mean import did_you_mean

    known = _lanes(session)
    if session.queue is not None:
        known |= set(session.queue.lanes())
    if lane not in known:
        hint = did_you_mean(lane, known) or f": the lanes are {', '.join(sorted(known))}"
        raise RequestError(f"no {what} {lane!r}{hint}")
    return lane


def _lanes(session: Session) -> set[str]:
    """Return the lanes of the catalog's models."""
    return {session.settings.lane_of(alias) for alias in session.settings.catalog}


def _is_batch(session: Session, name: str) -> bool:
    from jobs.batches.rounds import list_batches

    return bool(name) and any(batch_id.startswith(name) for batch_id in list_batches(session.store))
