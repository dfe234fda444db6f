"""`failed`: the rows that did not complete, and another try for them."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH, Session


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    failed = typer.Typer(help="List the rows that did not complete, or try them again.", no_args_is_help=True)
    failed.command("list", epilog="Example: nightpress failed list night-5f2c81")(list_failed)
    failed.command("retry", epilog="Example: nightpress failed retry night-5f2c81 --row 7 --row 12")(retry)
    app.add_typer(failed, name="failed")


def list_failed(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """List them, each with its code and message."""
    from jobs.commands.results import error_rows

    session: Session = ctx.obj
    found = session.batch(batch)
    count = 0
    for row in error_rows(session, found):
        count += 1
        if as_json:
            session.write_json(row)
            continue
        error = row["error"]
        named = f" ({row['custom_id']})" if row.get("custom_id") is not None else ""
        place = "".join(f", {name} {error[name]}" for name in ("line", "field") if error.get(name) is not None)
        session.write(f"row {row['row']}{named}{place}: {error['code']}: {error['message']}")
    if not count:
        session.say(f"{found.batch_id}: no row has failed")


def retry(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A row to run again, also if it completed. Without: all that failed."),
    ] = None,
    deadline: Annotated[str | None, typer.Option(metavar="WHEN", help="When to give up: 06:00, +8h, a date.")] = None,
) -> None:
    """Open a published batch again for them.

    Completed rows are kept, and not billed again.
    """
    from jobs.batches.rounds import reopen

    session: Session = ctx.obj
    found = session.batch(batch)
    reopened = reopen(
        session.store,
        found.batch_id,
        rows=tuple(row) if row else None,
        deadline=session.moment(deadline, "--deadline"),
        clock=session.clock,
    )
    session.say(f"{found.batch_id}: round {reopened.round} is open; nightpress work runs it")
