"""`doctor`: checks that everything that Nightpress needs is there, and says what to do about each thing that is missing."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.session import Session


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: NIGHTPRESS_REDIS_URL=redis://queue:6379/0 nightpress doctor")(doctor)


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a check.")] = False,
) -> None:
    """Check that everything needed is there.

    Checks Python, Redis, storage, models, Ray and GPU. For each fault, says what to do about it.
    Exit status 3 if something is missing.
    """
    from dataclasses import asdict

    from jobs.operations.doctor import examine

    session: Session = ctx.obj
    faults = 0
    for check in examine(session.settings, lambda: session.queue, lambda: session.store):
        faults += check.needed and not check.ok
        if as_json:
            session.write_json(asdict(check))
            continue
        mark = "ok  " if check.ok else "FAIL" if check.needed else "note"
        session.write(f"{mark}  {check.name}: {' '.join(check.detail.split())}")
        if not check.ok:
            session.write(f"      -> {check.remedy}")
    if faults:
        session.say(f"{faults} {'thing is' if faults == 1 else 'things are'} missing")
        raise typer.Exit(3)
