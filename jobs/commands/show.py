"""`show`: shows all that is known of one row: its request, prompts, attempts, outcome and usage."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.options.row_name import RowCommand
from jobs.commands.session import BATCH, ROW, Session


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(cls=RowCommand, epilog="Example: nightpress show night-5f2c81 7")(show)


def show(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[str, typer.Argument(metavar="ROW", help=ROW)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show all that is known of one row.

    Shows its request, its first prompts, every attempt with worker, times and checks, its outcome and its usage.
    """
    from jobs.commands.views.row import lines

    session: Session = ctx.obj
    batch_id = session.batch(batch).batch_id
    history = session.client.row(batch_id, session.row(batch_id, row))
    if history.outcome is None:
        session.say(f"row {history.row} is not published yet: its attempts are what is known so far")
    if as_json:
        session.write_json(history.as_dict(), indent=True)
        return
    for line in lines(history, session.settings.prices.currency, session.width):
        session.write(line)
