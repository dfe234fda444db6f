"""`cancel`, `publish`, `pause` and `resume`: what an operator does to batches and lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import QueueUnavailable, RequestError

if TYPE_CHECKING:
    from jobs.batches.batch import Batch, Closed


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

    What is done stays; the rest is published as cancelled.
    """
    from jobs.batches.rounds import close, is_open

    session: Session = ctx.obj
    found = session.batch(batch)
    if not is_open(session.store, found.batch_id):
        raise RequestError(f"{found.batch_id} is published already: there is nothing left to cancel")
    closed = close(session.store, found.batch_id, "cancelled", clock=session.clock)
    if closed.reason != "cancelled":
        session.say(f"{found.batch_id} has expired already, at {closed.at.isoformat()}")
    _drop(session, found, closed)
    session.say(f"{found.batch_id} is {closed.reason}: no further row is started")
    session.say(f"  its workers publish it; without any: nightpress publish {found.batch_id}")


def _drop(session: Session, batch: Batch, closed: Closed) -> None:
    """Tell the queue. The marker has decided already, so a queue that is away only learns of it later."""
    if session.queue is None:
        return
    try:
        dropped = sum(session.queue.drop(lane, batch.batch_id, closed.round, forget=False) for lane in batch.lanes)
    except QueueUnavailable as error:
        session.say(f"nightpress: the queue learns of it later: {error}")
    else:
        session.say(f"{dropped:,} waiting rows were taken off the queue")


def publish(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
) -> None:
    """Publish a batch, or say what is missing.

    Workers do this by themselves, as soon as every row has its outcome.
    """
    from jobs.batches.batch import Done
    from jobs.publishing.publish import publish as publish_batch

    session: Session = ctx.obj
    found = session.batch(batch)
    result = publish_batch(session.store, found.batch_id, prices=session.settings.prices, clock=session.clock)
    if not isinstance(result, Done):
        rows = ", ".join(map(str, result.rows)) + (", ..." if result.missing > len(result.rows) else "")
        session.say(f"{found.batch_id}: {result.missing:,} of {found.rows:,} rows have no outcome yet: {rows}")
        session.say(f"  nightpress work runs them; nightpress cancel {found.batch_id} gives them up")
        raise typer.Exit(1)
    _deliver(session, found)
    counts = ", ".join(f"{count:,} {status}" for status, count in result.counts.items() if count)
    session.say(f"{found.batch_id}: round {result.round} is published, {counts}")
    raise typer.Exit(0 if result.counts.get("completed", 0) == found.rows else 1)


def _deliver(session: Session, batch: Batch) -> None:
    """Take the outputs to where they are owed, now that there is somebody to do it."""
    from jobs.kinds.registry import load_kinds
    from jobs.publishing.delivery import Deliverer

    kinds = load_kinds(session.settings.templates_dir)
    Deliverer(session.store, session.settings.options_for, kinds, session.clock).deliver_batch(batch.batch_id)


LANE = "A lane: the name of a model, as `nightpress models list` shows it."


def pause(
    ctx: typer.Context, lane: Annotated[str, typer.Argument(metavar="LANE", help=LANE, autocompletion=completion.lanes)]
) -> None:
    """Let no more rows of a lane be started.

    Of any batch; what runs goes on to its end.
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
) -> None:
    """Let a paused lane go on, or a paused batch."""
    from jobs.batches.rounds import resume as resume_batch

    session: Session = ctx.obj
    if lane not in _lanes(session) and _is_batch(session, lane):
        found = session.batch(lane)
        resume_batch(session.store, found, clock=session.clock)
        session.say(f"{found.batch_id} goes on")
        return
    known = _known(session, lane, "lane and no batch")
    session.needed_queue().resume(known)
    session.say(f"{lane} goes on")


def _known(session: Session, lane: str, what: str = "lane") -> str:
    """The lane, if a model or the queue has it: a misspelt one would be paused to no effect."""
    from jobs.did_you_mean import did_you_mean

    known = _lanes(session)
    if session.queue is not None:
        known |= set(session.queue.lanes())
    if lane not in known:
        hint = did_you_mean(lane, known) or f": the lanes are {', '.join(sorted(known))}"
        raise RequestError(f"no {what} {lane!r}{hint}")
    return lane


def _lanes(session: Session) -> set[str]:
    """The lanes of the models that the catalog has."""
    return {session.settings.lane_of(alias) for alias in session.settings.catalog}


def _is_batch(session: Session, name: str) -> bool:
    from jobs.batches.rounds import list_batches

    return bool(name) and any(batch_id.startswith(name) for batch_id in list_batches(session.store))
