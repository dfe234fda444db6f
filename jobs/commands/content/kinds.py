"""`kinds`: lists the kinds of content, and shows what a row of a kind takes and which checks hold its output."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.kinds.kind import Kind


class Example(StrEnum):
    """The forms of an example row."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("kinds", epilog="Example: nightpress kinds article --example csv > night.csv")(list_kinds)


def list_kinds(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="A kind, to see all of it.", autocompletion=completion.kinds)
    ] = None,
    example: Annotated[Example | None, typer.Option(help="Print only an example row, as jsonl or csv.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print only the JSON Schema of a row.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a kind.")] = False,
) -> None:
    """List the kinds of content, or show one: its fields, its checks and an example row."""
    from jobs.did_you_mean import did_you_mean
    from jobs.operations.content.kind_reference import example_csv, example_row, row_schema

    session: Session = ctx.obj
    kinds = session.client.kinds
    if name is not None and name not in kinds:
        raise RequestError(f"there is no kind {name!r}{did_you_mean(name, kinds)}: the kinds are {', '.join(kinds)}")
    if name is None and (example or schema):
        raise RequestError("--example and --schema show one kind: name it, as in `nightpress kinds article --schema`")
    if example and schema:
        raise RequestError("--example and --schema exclude each other: give one of them")
    for kind in kinds.values() if name is None else [kinds[name]]:
        if schema:
            session.write_json(row_schema(kind), indent=True)
        elif example is Example.CSV:
            session.write(example_csv(kind).rstrip("\n"))
        elif example is Example.JSONL:
            session.write_json(example_row(kind))
        elif as_json:
            session.write_json(_as_dict(session, kind))
        elif name is None:
            first = (kind.request_type.__doc__ or "").strip().partition("\n")[0]
            session.write(f"{kind.name}: {first}" if first else kind.name)
        else:
            _show(session, kind)


def _as_dict(session: Session, kind: Kind) -> dict[str, object]:
    from jobs.operations.content.checking import checks_in_use
    from jobs.operations.content.kind_reference import example_row, fields_of

    return {
        "kind": kind.name,
        "fields": [field._asdict() for field in fields_of(kind.request_type)],
        "output": [field._asdict() for field in fields_of(kind.output_type)],
        "checks": [one.as_dict() for one in checks_in_use({kind.name: kind}, session.settings.checks)],
        "example": example_row(kind),
    }


def _show(session: Session, kind: Kind) -> None:
    from jobs.operations.content.checking import checks_in_use
    from jobs.operations.content.kind_reference import example_csv, example_row, fields_of

    for title, model in (("fields", kind.request_type), ("output", kind.output_type)):
        session.write(f"{title}:")
        for field in fields_of(model):
            session.write(f"  {field.name}: {field.type}")
            session.write(f"    {field.meaning}")
    session.write("checks:")
    for one in checks_in_use({kind.name: kind}, session.settings.checks):
        limits = "".join(f", {name} {value}" for name, value in one.limits.items())
        session.write(f"  {one.check.code}: {one.severity}{limits}")
    session.write("an example row, as JSON Lines:")
    session.write_json(example_row(kind))
    session.write("the same as CSV:")
    session.write(example_csv(kind).rstrip("\n"))
