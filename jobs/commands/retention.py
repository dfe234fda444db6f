"""`delete` and `sweep`: delete published batches, by name or by age. Their usage stays in the accounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import NoBatch, RequestError, StoreDamaged

_AGE = re.compile(r"(\d{1,5})(h|d|w)")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: nightpress delete night-5f2c81")(delete)
    app.command(epilog="Example: nightpress sweep --older-than 30d --dry-run")(sweep)


def delete(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
) -> None:
    """Delete a published batch.

    Its files go, its usage stays in the accounts. An open batch is never deleted. If the outputs were not copied to their output
    URL, a message says so. To finish an interrupted deletion, give the batch's whole id.
    """
    from jobs.batches.rounds import is_left_over, list_batches
    from jobs.publishing.delivery import undelivered_url

    session: Session = ctx.obj
    try:
        batch_id = session.batch(batch).batch_id
    except NoBatch:
        if batch not in list_batches(session.store) or not is_left_over(session.store, batch):
            raise
        batch_id = batch
    place = undelivered_url(session.store, batch_id)
    session.client.delete(batch_id)
    session.say(f"{batch_id} is deleted; nightpress usage still counts it")
    _say_owed(session, batch_id, place)


def _say_owed(session: Session, batch_id: str, place: str | None) -> None:
    if place is not None:
        session.say(f"{batch_id}: its outputs have not been taken to {place}")


def sweep(
    ctx: typer.Context,
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Published at least this long ago: 36h, 30d, 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them; delete nothing.")] = False,
) -> None:
    """Delete the batches that were published long ago.

    Prints the id of each. An open batch is never touched. A damaged batch stays; a message names it, and the exit status is 3.
    Half-written files of killed processes are deleted too, if they are as old.
    """
    from jobs.publishing.delivery import undelivered_url
    from jobs.publishing.retention import delete_leftovers, find_old_batches
    from jobs.store.damage import collect_damage
    from jobs.store.fan_out import each

    session: Session = ctx.obj
    age = _AGE.fullmatch(older_than)
    if age is None:
        raise RequestError(f"--older-than {older_than}: write it as 36h, 30d or 8w")
    store, ago = session.store, timedelta(**{_UNITS[age[2]]: int(age[1])})
    faults: list[StoreDamaged] = []
    reopened: list[RequestError] = []
    batch_ids = [batch_id for batch_id, _ in find_old_batches(store, ago, clock=session.clock, faults=faults)]

    def delete_one(batch_id: str) -> tuple[str, str | None] | None:
        try:
            with collect_damage(faults):
                place = undelivered_url(store, batch_id)
                if not dry_run:
                    session.client.delete(batch_id)
                return batch_id, place
        except NoBatch:  # another process deletes the same batch
            return None
        except RequestError as error:
            reopened.append(error)
        return None

    count = 0
    for deleted in each(delete_one, batch_ids, store.reads_at_once):
        if deleted is not None:
            session.write(deleted[0])
            _say_owed(session, *deleted)
            count += 1
    for error in reopened:
        session.say(f"nightpress: {error}")
    session.say(f"{count:,} batch{'es' * (count != 1)} {'would be ' if dry_run else ''}deleted")
    if not dry_run and (left := delete_leftovers(session.store, ago)):
        session.say(f"{left:,} leftover{'s' * (left != 1)} of killed processes deleted")
    session.say_damaged(faults)
