"""`delete` and `sweep`: delete published batches, by name or by age. Their usage stays in the accounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import NoBatch, RequestError

if TYPE_CHECKING:
    from jobs.errors import StoreDamaged

_AGE = re.compile(r"(\d{1,5})(h|d|w)")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}

YES = "Do not ask. Needed where nobody can answer, as in a script."
"""The help of the option by which a deletion does not ask."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: nightpress delete night-5f2c81")(delete)
    app.command(epilog="Example: nightpress sweep --older-than 30d --dry-run")(sweep)


def delete(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    yes: Annotated[bool, typer.Option("--yes", help=YES)] = False,
) -> None:
    """Delete a published batch.

    Asks first. The batch's files are deleted; its usage stays in the accounts. An open batch is never deleted. If the outputs
    were not copied to their output URL, a message says so. To finish an interrupted deletion, give the batch's whole id.
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
    if place := undelivered_url(session.store, batch_id):
        session.say(f"{batch_id}: its outputs have not been taken to {place}")
    _confirm(session, f"delete {batch_id}", yes=yes)
    if _is_deleted(session, batch_id):
        session.say(f"{batch_id} is deleted; nightpress usage still counts it")
    else:
        session.say(f"{batch_id} was deleted by another command at this moment; nightpress usage still counts it")


def _is_deleted(session: Session, batch_id: str) -> bool:
    """Delete a batch. Returns False if another command has deleted it. Raises RequestError if it is open."""
    try:
        return session.client.delete(batch_id)
    except NoBatch:
        return False


def _confirm(session: Session, what: str, *, yes: bool) -> None:
    """Ask whether to do something that cannot be undone. Raises RequestError if the answer is not yes, or nobody can answer."""
    if yes:
        return
    if not session.can_ask:
        raise RequestError(f"to {what}, add --yes: no terminal is there to ask")
    if not session.asks(f"{what[0].upper()}{what[1:]}?"):
        raise RequestError("nothing was deleted")


def sweep(
    ctx: typer.Context,
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Published at least this long ago: 36h, 30d, 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them; delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help=YES)] = False,
) -> None:
    """Delete the batches that were published long ago.

    Asks first, and prints the id of each. An open batch is never touched. If a batch's outputs were not copied to their output
    URL, the batch stays, and a message names it. A damaged batch stays; a message names it, and the exit status is 3.
    Half-written files of killed processes are deleted too, if they are as old.
    """
    from jobs.publishing.retention import delete_leftovers, find_old_batches

    session: Session = ctx.obj
    age = _AGE.fullmatch(older_than)
    if age is None:
        raise RequestError(f"--older-than {older_than}: write it as 36h, 30d or 8w")
    ago = timedelta(**{_UNITS[age[2]]: int(age[1])})
    faults: list[StoreDamaged] = []
    found = [batch_id for batch_id, _ in find_old_batches(session.store, ago, clock=session.clock, faults=faults)]
    batch_ids = _delivered(session, found, faults)
    if batch_ids and not dry_run:
        _confirm(session, f"delete {_counted(len(batch_ids))}", yes=yes)
    deleted = batch_ids if dry_run else _deleted(session, batch_ids, faults)
    for batch_id in deleted if dry_run else ():
        session.write(batch_id)
    session.say(f"{_counted(len(deleted))} {'would be ' if dry_run else ''}deleted")
    if not dry_run and (left := delete_leftovers(session.store, ago)):
        session.say(f"{left:,} leftover{'s' * (left != 1)} of killed processes deleted")
    session.say_damaged(faults)


def _counted(count: int) -> str:
    return f"{count:,} batch{'es' * (count != 1)}"


def _delivered(session: Session, batch_ids: list[str], faults: list[StoreDamaged]) -> list[str]:
    """Return the batches that owe no outputs to an output URL. A message names each of the others."""
    from jobs.publishing.delivery import undelivered_url
    from jobs.store.damage import collect_damage

    spared = []
    for batch_id in batch_ids:
        with collect_damage(faults):
            if place := undelivered_url(session.store, batch_id):
                session.say(f"{batch_id} stays: its outputs have not been taken to {place}")
                session.say(f"  to delete it all the same: nightpress delete {batch_id}")
                spared.append(batch_id)
    return [batch_id for batch_id in batch_ids if batch_id not in spared]


def _deleted(session: Session, batch_ids: list[str], faults: list[StoreDamaged]) -> list[str]:
    """Delete batches, and print the id of each. Returns the ids of the batches that this command itself deleted."""
    from jobs.store.damage import collect_damage
    from jobs.store.fan_out import each

    kept: list[RequestError] = []

    def delete_one(batch_id: str) -> bool:
        try:
            with collect_damage(faults):
                return _is_deleted(session, batch_id)
        except RequestError as error:
            kept.append(error)
        return False

    deleted = []
    for batch_id, is_deleted in zip(batch_ids, each(delete_one, batch_ids, session.store.reads_at_once), strict=True):
        if is_deleted:
            session.write(batch_id)
            deleted.append(batch_id)
    for error in kept:
        session.say(f"nightpress: {error}")
    return deleted
