"""`failed`: lists the rows that did not complete, or runs them again."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.printable import one_line


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    failed = typer.Typer(help="List the rows that did not complete, or run them again.", no_args_is_help=True)
    failed.command("list", epilog="Example: nightpress failed list night-5f2c81")(list_failed)
    failed.command("retry", epilog="Example: nightpress failed retry night-5f2c81 --row 7 --row 12")(retry)
    app.add_typer(failed, name="failed")


def list_failed(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """List the rows that did not complete.

    Each row is shown with its code and message. For an unfinished batch: the rows that have failed so far.
    """
    from jobs.commands.results import say_if_reopened

    session: Session = ctx.obj
    batch_id = session.batch(batch).batch_id
    rows = session.client.results(batch_id, errors=True)
    if rows.round is None:
        session.say(f"{batch_id} is not finished: these have failed so far")
    say_if_reopened(session, rows)
    count = 0
    for row in rows:
        count += 1
        if as_json:
            session.write_json(row)
            continue
        error = row["error"]
        named = f" ({one_line(str(row['custom_id']))})" if row.get("custom_id") is not None else ""
        place = "".join(f", {name} {error[name]}" for name in ("line", "field") if error.get(name) is not None)
        session.write(f"row {row['row']}{named}{place}: {error['code']}: {error['message']}")
    if not count:
        session.say(f"{batch_id}: no row has failed")


def retry(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A row to run again, also if it completed. Without: all that did not."),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When unfinished rows expire: 06:00, +8h, a date.")
    ] = None,
) -> None:
    """Run the rows that did not complete again.

    Opens a further round of a published batch. All other rows are kept, and not billed again.
    """
    session: Session = ctx.obj
    batch_id = session.batch(batch).batch_id
    number = session.client.retry(batch_id, rows=row, deadline=deadline)
    session.say(f"{batch_id}: round {number} is open; nightpress work runs it")
