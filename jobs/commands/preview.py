"""`preview`: shows the first prompts of the first rows of a file, and how many tokens each prompt has."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import Session
from jobs.errors import RequestError
from jobs.formats.input_format import InputFormat


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress preview night.csv --limit 2")(preview)


def preview(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="As for enqueue.")],
    kind: Annotated[
        str | None, typer.Option(help="The kind of rows that name none.", autocompletion=completion.kinds)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of rows that name none.", autocompletion=completion.models)
    ] = None,
    override_model: Annotated[
        bool, typer.Option("--override-model", help="Give --model to all rows, also to those that name another.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field for rows that lack it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 5,
    form: Annotated[
        InputFormat | None, typer.Option("--format", help="The format of the file.  [default: by its content]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Show the prompts of the first rows.

    Each prompt has its number of tokens. Nothing is enqueued. If a kind asks a model several times, only the first prompts are
    shown.
    """
    from jobs.commands.views.preview import lines
    from jobs.formats.detection import records
    from jobs.formats.source import InputLimits, decompressed, open_source
    from jobs.intake.accept import IntakeOptions, row_reader
    from jobs.intake.row_reader import RowFault
    from jobs.operations.preview import previews

    session: Session = ctx.obj
    settings, kinds = session.settings, session.client.kinds
    reader = row_reader(
        IntakeOptions(kind=kind, model=model, override_model=override_model, set=tuple(set_ or ())), kinds, settings
    )
    faults, rows = 0, 0
    with ExitStack() as files:
        opened = files.enter_context(open_source(file, settings.options_for(file)))
        text = files.enter_context(decompressed(opened, InputLimits.of(settings, opened)))
        for shown in previews(records(text, reader, form), reader, kinds, settings, limit):
            rows += 1
            if isinstance(shown, RowFault):
                faults += 1
                fault = {"row": shown.row, "custom_id": shown.custom_id, "kind": shown.kind, "error": shown.error}
                session.write_json(fault) if as_json else session.write(f"row {shown.row}, {shown}")
            elif as_json:
                session.write_json(shown.as_dict())
            else:
                for line in lines(shown):
                    session.write(line)
    if not rows:
        raise RequestError(f"{file} holds no rows")
    raise typer.Exit(1 if faults else 0)
