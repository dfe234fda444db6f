"""`status` and `wait`: say how far batches are, and wait until they are published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, Session

if TYPE_CHECKING:
    from jobs.errors import StoreDamaged
    from jobs.operations.status import Status


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
    watch: Annotated[bool, typer.Option("--watch", help="Go on until all of them are published.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Show how far the batches are.

    Shows counts by state, rates, cost so far and expected end. For a published batch: its published numbers. With BATCH: also the
    usage of attempts that ended after it was published (`late`). A damaged batch is named, with exit status 3.
    """
    from jobs.batches.records import no_batch
    from jobs.client import LAST_PUBLISHED

    session: Session = ctx.obj
    reader = session.client.status_reader(counts_late=batch is not None)
    faults: list[StoreDamaged] = []
    open_and_last = partial(session.client.batches, published=LAST_PUBLISHED, faults=faults)
    shown = [session.batch(batch).batch_id] if batch else open_and_last()
    now = reader.read(shown, faults)
    if batch and not now.batches and not faults:
        raise no_batch(shown[0])
    _say_queue_fault(session, now)
    if watch and not _all_published(now):
        shown = [one.id for one in now.batches]
        with _screen(session, live=session.out.is_terminal and not as_json) as screen:
            while not _all_published(now):
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
        typer.Option(metavar="SPAN|MOMENT", help="The longest that it waits: 90s, 30m, 08:00.  [default: for ever]"),
    ] = None,
) -> None:
    """Wait until a batch is published.

    Exit status 0 if every row completed, 1 if some did not, 4 if the batch is not published: it paused itself, or the time is
    over.
    """
    from jobs.operations.waiting import wait as wait_until_published
    from jobs.typed_times import parse_limit

    session: Session = ctx.obj
    until = None if timeout is None else parse_limit(timeout, session.clock())
    batch_id = session.batch(batch).batch_id
    reader = session.client.status_reader()
    _say_queue_fault(session, reader.read([batch_id]))
    one = wait_until_published(
        reader, batch_id, until=until, interval_s=interval_s, sleep=session.sleep, clock=session.clock
    )
    session.say(f"{one.id}: published, {one.describe_outcomes()}")
    raise typer.Exit(0 if one.completed == one.rows else 1)


def _say_queue_fault(session: Session, now: Status) -> None:
    """Say why the queue could not be asked. Say nothing if all batches are published, since only open batches need it."""
    if now.queue_fault is not None and any(one.state != "published" for one in now.batches):
        session.say(f"nightpress: from storage alone: {now.queue_fault}")


def _all_published(now: Status) -> bool:
    return all(one.state == "published" for one in now.batches)


def _print(session: Session, now: Status, *, as_json: bool) -> None:
    from jobs.commands.views.status import lines

    if as_json:
        session.write_json(now.as_dict())
    elif not now.batches:
        session.say(f"no batches in {session.store.redacted_url}: `nightpress enqueue FILE` makes one")
    else:
        for line in lines(now, session.clock(), session.width):
            session.write(line)


class _Lines:
    """Shows the status again and again, as `--watch` asks, in a pipe or a log. Prints a line for each batch whose counts have
    changed.

    With `--json`, the whole status is printed if a batch has changed.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, ...]] = {}

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from jobs.commands.views.status import progress_line

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
    """Shows the status again and again, as `--watch` asks, on a terminal. Draws the lines of `status` at each look in place of
    the lines drawn before.
    """

    def __init__(self, session: Session) -> None:
        from rich.live import Live

        self.live = Live(console=session.out, auto_refresh=False, transient=True)

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from rich.text import Text

        from jobs.commands.views.status import lines

        del as_json
        self.live.update(Text("\n".join(lines(now, session.clock(), session.width))), refresh=True)


@contextmanager
def _screen(session: Session, *, live: bool) -> Iterator[_Lines | _Live]:
    if not live:
        yield _Lines()
        return
    screen = _Live(session)
    with screen.live:
        yield screen
