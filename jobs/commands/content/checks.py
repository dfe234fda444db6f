"""`checks` lists the checks of content; `check` runs them over outputs of any origin."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.session import Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.operations.content.checking import CheckedRow


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("checks", epilog="Example: nightpress checks --kind article")(list_checks)
    app.command(epilog="Example: nightpress check outputs.jsonl")(check)


def list_checks(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Option("--kind", help="Only the checks of this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a check.")] = False,
) -> None:
    """List the checks of content, with their severities and limits.

    The settings under [checks] change both.
    """
    from jobs.did_you_mean import did_you_mean
    from jobs.operations.content.checking import checks_in_use

    session: Session = ctx.obj
    kinds = session.client.kinds
    if kind is not None and kind not in kinds:
        raise RequestError(f"there is no kind {kind!r}{did_you_mean(kind, kinds)}: the kinds are {', '.join(kinds)}")
    chosen = kinds if kind is None else {kind: kinds[kind]}
    for one in checks_in_use(chosen, session.settings.checks):
        if as_json:
            session.write_json(one.as_dict())
            continue
        session.write(f"{one.check.code}  ({one.severity})")
        session.write(f"  {one.check.measures}")
        if one.limits:
            session.write(f"  {', '.join(f'{name} = {value}' for name, value in one.limits.items())}")
        if kind is None:
            session.write(f"  of {', '.join(one.kinds) if len(one.kinds) < len(kinds) else 'all kinds'}")


def check(
    ctx: typer.Context,
    file: opt.File,
    kind: opt.Kind = None,
    set_: opt.Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row, with its findings.")] = False,
) -> None:
    """Check outputs of Nightpress or of any other tool.

    FILE holds JSON Lines. Each line is a row as for `enqueue`, with one field more: `output`, the text or the object that the
    kind returns. The exit status is 0 if all rows are fit to be published, else 1.
    """
    from jobs.formats.detection import records
    from jobs.formats.input_format import InputFormat
    from jobs.formats.source import InputLimits, decompressed, open_source
    from jobs.intake.accept import row_reader
    from jobs.operations.content.checking import checked_rows
    from jobs.operations.enqueue_options import intake_options

    session: Session = ctx.obj
    settings, kinds = session.settings, session.client.kinds
    given = opt.input_options(kind=kind, set_=set_)
    # a tenant may have checks of its own; nothing is billed to it
    given["rows_may_set"] = "tenant,priority"
    reader = row_reader(intake_options(given, clock=session.clock), kinds, settings)
    verdicts, codes = Counter[str](), Counter[tuple[str, str]]()
    with ExitStack() as files:
        opened = files.enter_context(open_source(file, settings.options_for(file)))
        text = files.enter_context(decompressed(opened, InputLimits.of(settings, opened)))
        for row in checked_rows(records(text, reader, InputFormat.JSONL), reader, kinds, settings):
            verdicts[row.verdict] += 1
            codes.update({(one.code, one.severity.value) for one in row.findings})
            if as_json:
                session.write_json(row.as_dict())
            elif row.verdict != "fit" or row.findings:
                _print(session, row)
    if not verdicts:
        raise RequestError(f"{file} holds no rows")
    if not as_json:
        session.write(f"{verdicts['fit']} fit, {verdicts['review']} to review, {verdicts['failed']} failed")
        for (code, severity), rows in codes.most_common():
            session.write(f"  {code}, {severity}: {rows} row{'s' if rows > 1 else ''}")
    raise typer.Exit(0 if verdicts["fit"] == verdicts.total() else 1)


def _print(session: Session, row: CheckedRow) -> None:
    name = f" ({row.custom_id})" if row.custom_id else ""
    session.write(f"row {row.row}{name}: {row.verdict}")
    if row.fault:
        session.write(f"  {row.fault}")
    for one in row.findings:
        place = f" ({one.where.field} {one.where.start}:{one.where.end})" if one.where else ""
        session.write(f"  {one.severity} {one.code}: {one.message}{place}")
