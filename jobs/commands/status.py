"""`status` and `wait`: say how far batches are, and wait until they are published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.options.review import AcceptReview
from jobs.commands.session import BATCH, Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.errors import StoreDamaged
    from jobs.operations.listing import Choice
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
    all_: Annotated[bool, typer.Option("--all", help="All published batches, not only the last five.")] = False,
    tenant: Annotated[str | None, typer.Option(help="Only the batches of this tenant.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Made or published since: 36h, 06:00, 2026-11-01.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with batches and workers.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until all of them are published.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Show how far the batches are.

    Shows a line for each batch, the failures by code, and the workers. With BATCH: its counts by state, rates, cost so far and
    expected end; of a published batch also the usage of attempts that ended later (`late`). With --watch, new batches are shown
    too. A damaged batch is named, with exit status 3.
    """
    from jobs.batches.records import no_batch

    session: Session = ctx.obj
    if batch is not None and (all_ or tenant is not None or since is not None):
        raise RequestError("--all, --tenant and --since choose from all batches: leave them out, or leave out BATCH")
    faults: list[StoreDamaged] = []
    batches = _Batches(session, batch, _choice(session, all_=all_, tenant=tenant, since=since))
    now = batches.read(faults)
    if batch and not now.batches and not faults:
        raise no_batch(batches.ids[0])
    _say_queue_fault(session, now)
    if watch and not _all_published(now):
        with _screen(session, is_detail=batch is not None, as_json=as_json) as screen:
            while not _all_published(now):
                screen(session, now, as_json)
                session.sleep(interval_s)
                faults.clear()
                now = batches.read(faults)
    if now.batches or not faults:
        _print(session, now, as_json=as_json, is_detail=batch is not None)
    if batches.left_out:
        session.say(f"and {batches.left_out:,} more that are published: nightpress status --all")
    session.say_damaged(faults)


def _choice(session: Session, *, all_: bool, tenant: str | None, since: str | None) -> Choice:
    """Return which batches are wanted: without --all and --since, only the last published ones."""
    from jobs.client import LAST_PUBLISHED
    from jobs.operations.listing import Choice
    from jobs.typed_times import parse_past

    began = None if since is None else parse_past(since, session.clock())
    return Choice(tenant, began, None if all_ or since is not None else LAST_PUBLISHED)


class _Batches:
    """The batches that a call of `status` shows: the one that it names, or those of a choice and new ones.

    `ids` are their ids. `left_out` counts the published batches that the choice has left out.
    """

    def __init__(self, session: Session, name: str | None, choice: Choice) -> None:
        self.ids: list[str] = [] if name is None else [session.batch(name).batch_id]
        self.left_out = 0
        self._session = session
        self._choice = None if name is not None else choice
        self._seen: set[str] = set()
        self._damaged: list[StoreDamaged] = []
        self._reader = session.client.status_reader(counts_late=name is not None)
        self._is_first = True

    def read(self, faults: list[StoreDamaged]) -> Status:
        """Return how far the batches are now. Damage is added to `faults`."""
        if self._choice is not None:
            self._find(self._choice)
        faults += self._damaged
        return self._reader.read(self.ids, faults)

    def _find(self, choice: Choice) -> None:
        """Add the batches of the choice. Later calls only add batches that were opened since, which they find by their hints."""
        from jobs.operations.listing import listing

        store = self._session.store
        opened = None if self._is_first else set(store.list("open")) - self._seen
        if self._is_first or opened:
            found = listing(store, choice, self._damaged, opened)
            self.ids += [batch_id for batch_id in found.ids if batch_id not in self.ids]
            self._seen |= set(self.ids) | (opened or set())
            self.left_out += found.left_out
        self._is_first = False


def wait(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="SPAN|MOMENT", help="The longest that it waits: 90s, 30m, 08:00.  [default: for ever]"),
    ] = None,
    accept_review: AcceptReview = False,
) -> None:
    """Wait until a batch is published.

    Exit status 0 if every row completed and can be published as it is, 1 if not, 4 if the batch is not published: it paused
    itself, or the time is over.
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
    accepted = accept_review or session.settings.accept_review or not one.verdicts.get("review")
    raise typer.Exit(0 if one.completed == one.rows and accepted else 1)


def _say_queue_fault(session: Session, now: Status) -> None:
    """Say why the queue could not be asked. Say nothing if all batches are published, since only open batches need it."""
    if now.queue_fault is not None and any(one.state != "published" for one in now.batches):
        session.say(f"nightpress: from storage alone: {now.queue_fault}")


def _all_published(now: Status) -> bool:
    return all(one.state == "published" for one in now.batches)


def _print(session: Session, now: Status, *, as_json: bool, is_detail: bool) -> None:
    from jobs.commands.views.status import detail, lines

    if as_json:
        session.write_json(now.as_dict())
        return
    if not now.batches:
        session.say(f"no such batches in {session.store.redacted_url}: `nightpress enqueue FILE` makes one")
    for line in (detail if is_detail else lines)(now, session.clock(), session.width):
        session.write(line)


class _Lines:
    """Shows the status again and again, as `--watch` asks, in a pipe or a log. Prints a line for each batch whose counts have
    changed.

    With `--json`, the whole status is printed if a batch has changed.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, ...]] = {}

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from jobs.commands.views.batch import progress_line

        changed: dict[str, tuple[object, ...]] = {
            one.id: (one.state, one.finished, one.leased, one.ready) for one in now.batches
        }
        if changed == self._last:
            return
        if as_json:
            session.write_json(now.as_dict())
        for one in now.batches:
            if not as_json and changed[one.id] != self._last.get(one.id):
                session.write(progress_line(one, session.clock()), at_once=True)
        self._last = changed


class _Live:
    """Shows the status on a terminal again and again, for `--watch`. Each time, it replaces the lines that it drew before by new
    lines, as many as fit the terminal.
    """

    def __init__(self, session: Session, *, is_detail: bool) -> None:
        from rich.live import Live

        self._is_detail = is_detail
        self.live = Live(console=session.out, auto_refresh=False, transient=True)

    def __call__(self, session: Session, now: Status, as_json: bool) -> None:
        from rich.text import Text

        from jobs.commands.views.status import screen

        del as_json
        width, height = session.out.size
        found = screen(now, session.clock(), width, height - 1, is_detail=self._is_detail)
        self.live.update(Text("\n".join(found)), refresh=True)


@contextmanager
def _screen(session: Session, *, is_detail: bool, as_json: bool) -> Iterator[_Lines | _Live]:
    if as_json or not session.out.is_terminal:
        yield _Lines()
        return
    screen = _Live(session, is_detail=is_detail)
    with screen.live:
        yield screen
