"""`memory`: takes in what editors wrote, hands out a tenant's translation memory, looks into it, and forgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.session import Session
from jobs.errors import OutputUnavailable, RequestError

if TYPE_CHECKING:
    from jobs.operations.memory.tenant_memory import Found

memory = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Tenant = Annotated[str | None, typer.Option(help="Whose memory. [default: the setting tenant]")]
SourceLanguage = Annotated[
    str | None,
    typer.Option(metavar="TAG", help="The source language, if the file does not name it or names it otherwise."),
]
TargetLanguage = Annotated[str | None, typer.Option(metavar="TAG", help="Only translations into this language.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(memory, name="memory", help="Import, export, show and forget what the translation memory has.")


@memory.command("import", epilog="Example: nightpress memory import corrected.tmx")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TMX file, or a translated document such as a .po.")],
    tenant: Tenant = None,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
) -> None:
    """Take in what editors wrote.

    An editor's translation wins over a model's, whatever the model is, and a later one over an earlier one.
    """
    session: Session = ctx.obj
    count = session.client.memory(tenant).take_in(file, source_language, target_language)
    session.say(f"{count:,} entr{'y' if count == 1 else 'ies'} taken into the memory")


@memory.command(epilog="Example: nightpress memory export --to memory.tmx")
def export(
    ctx: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The TMX file to write.")],
    tenant: Tenant = None,
) -> None:
    """Write the memory as TMX."""
    if str(to) == "-":
        raise RequestError("name a file for the TMX with --to: it is not written to standard output")
    session: Session = ctx.obj
    found = session.client.memory(tenant)
    try:
        count = found.export(to)
    except OSError as error:
        raise OutputUnavailable(f"cannot write {to}: {error.strerror}") from error
    session.say(f"{count:,} entr{'y' if count == 1 else 'ies'} written to {to}")
    session.say_damaged(found.faults)


@memory.command(epilog='Example: nightpress memory show "Save all"')
def show(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A segment in the source language.")],
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each entry as JSON.")] = False,
) -> None:
    """Show what the memory has for a text, and what is similar to it."""
    session: Session = ctx.obj
    found = session.client.memory(tenant)
    entries = found.find(text)
    if as_json:
        session.write_json([_as_values(one) for one in entries])
    elif not entries:
        session.say("the memory has nothing like this text")
    else:
        from jobs.commands.views.table import Table

        titles = ("source", "translation", "languages", "alike", "by", "from", "at")
        session.write_table(Table(titles, [_cells(one) for one in entries], texts=frozenset({0, 1, 2, 4, 5, 6})))
    session.say_damaged(found.faults)


@memory.command(epilog='Example: nightpress memory forget "Save all" --target-language de')
def forget(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="A segment in the source language.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget the whole memory of the tenant.")] = False,
    tenant: Tenant = None,
    target_language: TargetLanguage = None,
) -> None:
    """Forget the translations of a text, or all.

    The files of the memory are written anew without them. Texts in published batches stay until those are deleted.
    """
    if (not text) != everything:
        raise RequestError("give the text to forget, or --all for the whole memory of the tenant")
    session: Session = ctx.obj
    found = session.client.memory(tenant)
    count = found.forget(text, target_language)
    session.say(f"{count:,} entr{'y' if count == 1 else 'ies'} forgotten")
    session.say_damaged(found.faults)


def _as_values(found: Found) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(found.entry), "similarity": found.similarity}


def _cells(found: Found) -> tuple[str, ...]:
    entry = found.entry
    came_from = f"{entry.batch} {entry.row}" if entry.origin == "model" else entry.author or entry.batch
    languages = f"{entry.source_language} to {entry.target_language}"
    at = f"{entry.at:%Y-%m-%d %H:%M}"
    return entry.source, entry.target, languages, f"{int(100 * found.similarity)} %", entry.origin, came_from, at
