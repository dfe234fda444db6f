"""`plan`: says when the open batches are done, how many workers make the deadlines, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.session import Session

if TYPE_CHECKING:
    from jobs.errors import StoreDamaged


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress plan --by 06:00 --gpus 4")(plan)


def plan(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|-]", help="A file to plan before it is enqueued, beside the open batches."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When all must be done: 06:00, +8h, 2026-12-02T06:00.")
    ] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", min=1, help="Most devices of all models together.")] = None,
    kind: opt.Kind = None,
    model: opt.Model = None,
    set_: opt.Set = None,
    map_: opt.Map = None,
    form: opt.Format = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with whole billionths.")] = False,
) -> None:
    """Say when the batches are done, and what further workers bring.

    For each model: the end by number of workers, 9 times of 10 within the interval; the least number that keeps the deadlines in
    19 of 20 nights (with a star); the cost; and the reasons. Lengths and speed come from published rows and live workers.
    Nothing is started or enqueued. A damaged batch is named, with exit status 3.
    """
    from jobs.commands.views.plan import plan_lines

    session: Session = ctx.obj
    faults: list[StoreDamaged] = []
    found = None
    if files:
        given = opt.input_options(kind=kind, model=model, set_=set_, map_=map_, form=form)
        found = session.client.estimate(files if len(files) > 1 else files[0], **given)
    night = session.client.plan(by=by, devices=gpus, found=found, faults=faults)
    if as_json:
        session.write_json(night.as_dict())
    elif not night.lanes:
        session.say("no row of an open batch waits: `nightpress plan FILE` plans a file before it is enqueued")
    else:
        for line in plan_lines(night, session.width):
            session.write(line)
    session.say_damaged(faults)
