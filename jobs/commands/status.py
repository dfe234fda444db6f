"""`status` and `wait`: how far the batches are, once or until they are published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session

if TYPE_CHECKING:
    from jobs.errors import StoreDamaged
    from jobs.operations.status import BatchStatus, Status
    from jobs.operations.status_reader import StatusReader

LAST_PUBLISHED = 5


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: nightpress status night-5f2c81 --watch")(status)
    app.command(epilog="Example: nightpress wait $(nightpress enqueue night.jsonl) && echo all completed")(wait)


def status(
    ctx: typer.Context,
    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="[BATCH]", help=f"{BATCH} Without: the open and last published.", autocompletion=completion.batches
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with batches and workers.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until everything shown is published.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Show how far the batches are.

    Counts by state, rates, cost so far, expected end. Of a published batch, the published numbers, and of BATCH also what ended
    too late for them, by the head of each segment. A damaged batch is named, with exit status 3.
    """
    from jobs.operations.status_reader import listed

    session: Session = ctx.obj
    reader = _reader(session, counts_late=batch is not None)
    faults: list[StoreDamaged] = []
    now = reader.read(
        [session.batch(batch).batch_id] if batch else listed(session.store, LAST_PUBLISHED, faults), faults
    )
    _say_fault(session, now)
    if watch and not _settled(now):
        shown = [one.id for one in now.batches]
        with _screen(session, live=session.out.is_terminal and not as_json) as screen:
            while not _settled(now):
                screen(session, now, as_json)
                session.sleep(interval_s)
                faults.clear()
                now = reader.read(shown, faults)
    if now.batches or not faults:
        _print(session, now, as_json=as_json)
    session.say_damaged(faults)


def wait(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="SPAN|MOMENT", help="The longest that it waits: +30m, 08:00.  [default: for ever]"),
    ] = None,
) -> None:
    """Wait until a batch is published.

    Exit status 0 when every row completed, 1 when some did not, 4 when it is not published: it paused itself, or the time is
    over.
    """
    from jobs.publishing.publish import publish
    from jobs.typed_times import parse

    session: Session = ctx.obj
    until = parse(timeout, session.clock()) if timeout is not None else None
    batch_id = session.batch(batch).batch_id
    reader = _reader(session)
    now = reader.read([batch_id])
    _say_fault(session, now)
    while now.batches[0].state != "published":
        if now.batches[0].state == "paused" and (reason := now.batches[0].paused_reason) is not None:
            session.say(f"{batch_id} is paused: {reason}; to go on: nightpress resume {batch_id}")
            raise typer.Exit(4)
        if until is not None and session.clock() >= until:
            session.say(f"{batch_id} is not published yet: {outcome_counts(now.batches[0])}; it goes on")
            raise typer.Exit(4)
        if now.batches[0].state == "publishing":  # every row has its outcome, and anyone may publish
            publish(session.store, batch_id, prices=session.settings.prices, clock=session.clock)
        else:
            session.sleep(interval_s)
        now = reader.read([batch_id])
    one = now.batches[0]
    session.say(f"{one.id}: published, {outcome_counts(one)}")
    raise typer.Exit(0 if one.completed == one.rows else 1)


def outcome_counts(one: BatchStatus) -> str:
    """`12 rows: 10 completed, 2 failed`."""
    named = {"completed": one.completed, "failed": one.failed, "cancelled": one.cancelled, "expired": one.expired}
    counts = ", ".join(f"{n:,} {name}" for name, n in named.items() if n or name == "completed")
    return f"{one.rows:,} rows: {counts}"


def _reader(session: Session, *, counts_late: bool = False) -> StatusReader:
    from jobs.operations.status_reader import StatusReader

    settings = session.settings
    lanes = [settings.lane_of(alias) for alias in settings.catalog]
    return StatusReader(session.store, session.queue, settings.prices, session.clock, lanes, counts_late)


def _say_fault(session: Session, now: Status) -> None:
    if now.queue_fault is not None and any(one.state != "published" for one in now.batches):
        session.say(f"nightpress: from storage alone: {now.queue_fault}")


def _settled(now: Status) -> bool:
    return all(one.state == "published" for one in now.batches)


def _print(session: Session, now: Status, *, as_json: bool) -> None:
    from jobs.commands.status_view import lines

    if as_json:
        session.write_json(now.as_dict())
    elif not now.batches:
        session.say(f"no batches in {session.store.redacted_url}: `nightpress enqueue FILE` makes one")
    else:
        for line in lines(now, session.clock(), session.out.width):
            session.write(line)


class _Lines:
    """A watch for a pipe or a log: one line for each batch whenever its counts have changed."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, ...]] = {}

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from jobs.commands.status_view import progress_line

        changed: dict[str, tuple[object, ...]] = {
            one.id: (one.state, one.finished, one.leased, one.ready) for one in now.batches
        }
        if changed == self._last:
            return
        if as_json:
            session.write_json(now.as_dict())
        for one in now.batches:
            if not as_json and changed[one.id] != self._last.get(one.id):
                session.write(progress_line(one, session.clock()))
        self._last = changed


class _Live:
    """A watch on a terminal: the same lines, drawn again in place."""

    def __init__(self, session: Session) -> None:
        from rich.live import Live

        self.live = Live(console=session.out, auto_refresh=False, transient=True)

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from rich.text import Text

        from jobs.commands.status_view import lines

        del as_json
        self.live.update(Text("\n".join(lines(now, session.clock(), session.out.width))), refresh=True)


@contextmanager
def _screen(session: Session, *, live: bool) -> Iterator[_Lines | _Live]:
    if not live:
        yield _Lines()
        return
    screen = _Live(session)
    with screen.live:
        yield screen
