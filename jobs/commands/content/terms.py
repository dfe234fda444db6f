"""`terms`: checks a file of terms, and lists the terms that a tenant's translations get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.session import Session
from jobs.errors import RequestError

if TYPE_CHECKING:
    from jobs.terms.language_pair import Entry

terms = typer.Typer(help="Check a glossary, or list the terms of a tenant.", no_args_is_help=True)

SourceLanguage = Annotated[str | None, typer.Option(metavar="TAG", help="The language of the column source.")]
TargetLanguage = Annotated[str | None, typer.Option(metavar="TAG", help="The language of the column target.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(terms, name="terms")


@terms.command("check", epilog="Example: nightpress terms check glossary.csv")
def check_terms(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A glossary: a table in CSV, or TBX.")],
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check whether a file of terms is valid, and count its terms by language pair.

    If it is not, the message names the line, the column and the remedy, and the exit status is 2.
    """
    from jobs.terms.files import read_glossary
    from jobs.terms.inspection import names, pair_counts
    from jobs.terms.row_glossaries import languages_of

    session: Session = ctx.obj
    glossary = read_glossary(file, languages_of(source_language, target_language))
    counts, kept = pair_counts(glossary), names(glossary)
    if as_json:
        pairs = [{name: getattr(one, name) for name in one.__slots__} for one in counts]
        told = {"file": glossary.name, "sha256": glossary.sha256, "pairs": pairs, "do_not_translate": len(kept)}
        session.write_json({**told, "untranslated": glossary.untranslated})
        return
    session.write(f"{glossary.name} is valid (sha256 {glossary.sha256[:12]})")
    for one in counts:
        session.write(
            f"  {one.source_language} to {one.target_language}: {_count(one.terms, 'term')}, {one.forbidden:,} forbidden"
        )
    if kept:
        session.write(
            f"  {_count(len(kept), 'name')} that {'stays as it is' if len(kept) == 1 else 'stay as they are'}"
        )
    if glossary.untranslated:
        has = "which has" if glossary.untranslated == 1 else "which have"
        session.write(f"  {_count(glossary.untranslated, 'line')} without a translation, {has} no effect yet")


@terms.command("list", epilog="Example: nightpress terms list --from en --to de --text 'Your invoices'")
def list_terms(
    ctx: typer.Context,
    source: Annotated[str, typer.Option("--from", metavar="TAG", help="The language of the source.")],
    target: Annotated[str, typer.Option("--to", metavar="TAG", help="The language of the translation.")],
    tenant: Annotated[str | None, typer.Option(help="The tenant of the rows.  [default: the setting tenant]")] = None,
    text: Annotated[str | None, typer.Option(help="Only the terms that stand in this text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a term.")] = False,
) -> None:
    """List the terms that the settings give to a tenant's translations."""
    from jobs.terms.row_glossaries import RowGlossaries
    from jobs.terms.table_headers import language_tag

    session: Session = ctx.obj
    tags = []
    for option, given in (("--from", source), ("--to", target)):
        if (tag := language_tag(given)) is None:
            raise RequestError(f"{option} {given}: it is not a language tag of BCP 47: give one such as de or pt-BR")
        tags.append(tag)
    glossaries = RowGlossaries(session.settings)
    pair = glossaries.pair(tenant or session.settings.tenant, *tags)
    if pair is None:
        raise RequestError(
            "the settings have no glossaries for this tenant: name files under [terms] or [tenants.NAME.terms]"
        )
    if not as_json:
        for path, sha256 in glossaries.files.items():
            session.say(f"{path} (sha256 {sha256[:12]})")
    for one in pair.entries if text is None else pair.found_in(text):
        if as_json:
            session.write_json(_as_dict(one))
        else:
            session.write(_shown(one))
    for term in pair.forbidden:
        if as_json:
            session.write_json({"term": None, "forbidden": [term]})
        else:
            session.write(f"never {term}")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def _as_dict(entry: Entry) -> dict[str, object]:
    return {
        "term": entry.source,
        "targets": entry.targets,
        "forbidden": entry.forbidden,
        "do_not_translate": entry.is_kept,
        "case_sensitive": entry.case_sensitive,
        "file": entry.file or None,
        "line": entry.line or None,
    }


def _shown(entry: Entry) -> str:
    if entry.is_kept:
        return f"{entry.source} stays as it is"
    parts = [f"{entry.source}: {' or '.join(entry.targets)}" if entry.targets else f"{entry.source}:"]
    if entry.forbidden:
        parts.append(f"never {', '.join(entry.forbidden)}")
    return f"{' '.join(parts)}{f'  ({entry.file}, line {entry.line})' if entry.file else ''}"
