"""`preview`: shows the first prompts of the first rows of a file, and how many tokens each prompt has."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.session import Session
from jobs.errors import RequestError, UnavailableError

if TYPE_CHECKING:
    from jobs.intake.remembering import RowLookup


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress preview night.csv --limit 2")(preview)


def preview(
    ctx: typer.Context,
    files: opt.Files,
    kind: opt.Kind = None,
    model: opt.Model = None,
    override_model: opt.OverrideModel = False,
    set_: opt.Set = None,
    map_: opt.Map = None,
    extra: opt.Extra = None,
    header: opt.Header = None,
    header_row: opt.HeaderRow = None,
    tenant: opt.Tenant = None,
    rows_may_set: opt.RowsMaySet = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 5,
    form: opt.Format = None,
    with_done: opt.All = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Show the prompts of the first rows.

    Each prompt has its number of tokens. Nothing is enqueued. If a kind asks a model several times, only the first prompts are
    shown.
    """
    from jobs.commands.views.preview import lines
    from jobs.intake.accept import row_reader
    from jobs.intake.documents.opening import input_records, open_input
    from jobs.intake.row_faults import RowFault
    from jobs.operations.enqueue_options import intake_options
    from jobs.operations.preview import previews

    session: Session = ctx.obj
    settings, kinds = session.settings, session.client.kinds
    given = opt.input_options(
        kind=kind,
        model=model,
        override_model=override_model,
        set_=set_,
        map_=map_,
        extra=extra,
        header=header,
        header_row=header_row,
        tenant=tenant,
        rows_may_set=rows_may_set,
        form=form,
        with_done=with_done,
    )
    options = intake_options(given, clock=session.clock)
    reader = row_reader(options, kinds, settings)
    faults, rows = 0, 0
    with ExitStack() as opened:
        lines_of_input, _ = opened.enter_context(open_input(files, options, settings))
        records = opened.enter_context(input_records(lines_of_input, reader, options, settings))
        if (memory := _memory(session)) is not None:
            opened.enter_context(closing(memory))
        for shown in previews(records, reader, kinds, settings, limit, memory):
            rows += 1
            if isinstance(shown, RowFault):
                faults += 1
                fault = {"row": shown.row, "custom_id": shown.custom_id, "kind": shown.kind, "error": shown.error}
                session.write_json(fault) if as_json else session.write(f"row {shown.row}, {shown}")
            elif as_json:
                session.write_json(shown.as_dict())
            else:
                session.write("\n".join(lines(shown)))
        if memory is not None and memory.remark is not None:
            session.say(f"nightpress: {memory.remark}")
    if not rows:
        raise RequestError(f"{' '.join(files)} holds no rows")
    raise typer.Exit(1 if faults else 0)


def _memory(session: Session) -> RowLookup | None:
    """Return the lookup in the translation memory; None if the storage cannot be opened, since a preview does not need it."""
    from jobs.intake.remembering import RowLookup

    try:
        return RowLookup(session.store, session.client.kinds, session.settings)
    except UnavailableError as error:
        session.say(f"nightpress: the translation memory could not be asked, so rows are shown without it: {error}")
        return None
