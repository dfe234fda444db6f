"""Writes the tables of the documentation from the code: commands, settings, fields, platforms, languages, error codes, events,
metrics; and docs/openapi.json, the description of the HTTP gateway.

    python scripts/checks/reference.py            # write the tables
    python scripts/checks/reference.py --check    # write nothing; exit status 1 if a table is not up to date

Each table stands between `<!-- table: NAME -->` and `<!-- end -->` in one page of `docs/`. The other text of the pages is kept.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from jobs.client import Client
from jobs.commands import cli
from jobs.errors import CODES
from jobs.gateway.app import make_app
from jobs.gateway.desk import Desk
from jobs.intake.row_fields import Envelope
from jobs.kinds.registry import load_kinds
from jobs.languages.codes import key_of
from jobs.languages.defaults import DEFAULTS, PARTNERS
from jobs.languages.families import Vocabulary, codes_of
from jobs.languages.names import language_name
from jobs.logs import EVENTS
from jobs.operations.content.kind_reference import fields_of
from jobs.settings import Settings
from jobs.writing.platforms import LIMITS
from workers.monitoring.table import TABLE as METRICS

DOCS = Path(__file__).parents[2] / "docs"
MARKED = re.compile(r"(?P<start><!-- table: (?P<name>\w+) -->)\n.*?(?P<end><!-- end -->)", flags=re.DOTALL)
_MODELS = "[Models](models.md)"
NESTED = {
    "prices": _MODELS,
    "models": _MODELS,
    "memory": "[The translation memory](memory.md)",
    "traces": "[Monitoring](monitoring.md)",
    "gateway": "[The HTTP gateway](clients.md)",
}
"""Settings whose values are tables. Their entries have no default, and link to the page that explains them."""


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command with its arguments, such as `failed retry BATCH`, and the first line of its help."""
    cli.load_extensions()
    yield from _commands(typer.main.get_command(cli.app), "")


def _commands(group: Any, before: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            given = (one for one in command.params if one.param_type_name == "argument")
            arguments = [one.metavar or one.name.upper() for one in given]
            first_line = (command.help or "").strip().partition("\n")[0]
            yield f"`{' '.join([before + name, *arguments])}`", first_line


def description() -> str:
    """Return the OpenAPI description of the HTTP gateway, as docs/openapi.json holds it."""
    made = make_app(Desk(Client(Settings(store_url="store")))).openapi()
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def settings() -> Iterator[tuple[str, str, str]]:
    """Yield each setting, its default, and what it does."""
    for name, field in Settings.model_fields.items():
        meaning = field.description or ""
        if name in NESTED:
            yield f"`{name}`", "", f"{meaning} See {NESTED[name]}."
        else:
            yield f"`{name}`", _default(name, field.default), meaning


def _default(name: str, value: Any) -> str:
    if value is None or value in ({}, ()):
        return ""
    if name.endswith("_bytes") and value % (1 << 30) == 0 and value:
        return f"{value >> 30} GiB"
    if name.endswith("_bytes") and value % 1024 == 0:
        return f"{value >> 20} MiB" if value % (1 << 20) == 0 else f"{value >> 10} KiB"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value >= 1_000_000:
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def named(declared: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each name of a dictionary such as CODES or EVENTS, and the sentence that explains the name."""
    return ((f"`{name}`", sentence) for name, sentence in declared.items())


def metrics() -> Iterator[tuple[str, str, str, str]]:
    """Yield four texts for each metric: its name, its type, its labels with their values, and its meaning."""
    for name, info in METRICS.items():
        labels = (f"`{label}`" + (f": {', '.join(values)}" if values else "") for label, values in info.labels.items())
        yield f"`{name}`", info.type, "; ".join(labels), info.meaning


def row_fields() -> Iterator[tuple[str, str, str]]:
    """Yield three texts for each field that a row of any kind may have: the name, the type with its limits, and the meaning."""
    return _cells(Envelope)


def kinds() -> Iterator[tuple[str, str, str, str]]:
    """Yield four texts for each field of each kind's request: the kind, the field, its type with its limits, and its meaning."""
    for kind in load_kinds().values():
        for field, *rest in _cells(kind.request_type):
            yield f"`{kind.name}`", field, rest[0], rest[1]


def platforms() -> Iterator[tuple[str, ...]]:
    """Yield eight texts for each platform: its name in a request, its limits, whether it has threads, and where and when the
    limits were looked up.
    """
    for name, limit in LIMITS.items():
        most = [f"{number:,}" if number else "" for number in (limit.max_length, limit.max_bytes, limit.max_hashtags)]
        threads = "yes" if limit.threads else ""
        yield f"`{name}`", most[0], limit.unit, most[1], most[2], threads, limit.looked_up.isoformat(), limit.source


def languages() -> Iterator[tuple[str, ...]]:
    """Yield six texts for each language of three families: its name, its tag, and its codes in four families."""
    found = {tag: language_name(tag) for one in _COMPARED[:3] for code in codes_of(one) for tag in [_tag(one, code)]}
    for tag, name in sorted(found.items(), key=lambda one: (one[1], one[0])):
        codes = (codes_of(one).find(tag) for one in _COMPARED)
        yield name, f"`{tag}`", *(f"`{code}`" if code else "-" for code in codes)


_COMPARED: tuple[Vocabulary, ...] = ("nllb", "m2m100", "mbart50", "madlad")


def _tag(vocabulary: Vocabulary, code: str) -> str:
    """Return the shortest usual tag that reaches a code."""
    codes = codes_of(vocabulary)
    key = key_of(codes.tags[code])
    usual = [one for one in PARTNERS.get(key.language, ()) if "-" not in one and len(one) == 2]
    names = [*usual, key.language]
    tags = [*names, *(f"{name}-{key.likely}" for name in names)]
    return next(tag for tag in tags if codes.find(tag) == code)


def stand_ins() -> Iterator[tuple[str, str, str, str]]:
    """Yield four texts for each default of languages: two tags, whether each stands for the other, and the reason."""
    for one in DEFAULTS:
        yield f"`{one.tag}`", f"`{one.code}`", "yes" if one.both else "", one.reason


def _cells(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for field in fields_of(model, quote="`"):
        yield f"`{field.name}`", field.type, field.meaning


TABLES: dict[str, tuple[Sequence[str], Callable[[], Iterable[Sequence[str]]]]] = {
    "commands": (("command", "does"), commands),
    "settings": (("setting", "default", "what it does"), settings),
    "row": (("field", "type", "meaning"), row_fields),
    "kinds": (("kind", "field", "type", "meaning"), kinds),
    "platforms": (
        ("platform", "most", "counted in", "bytes of UTF-8", "hashtags", "threads", "looked up", "source"),
        platforms,
    ),
    "languages": (("language", "tag", "NLLB-200", "M2M100", "mBART-50", "MADLAD-400"), languages),
    "stand_ins": (("tag", "taken for it", "both ways", "why"), stand_ins),
    "codes": (("code", "means"), lambda: named(CODES)),
    "events": (("event", "means, and its keys"), lambda: named(EVENTS)),
    "metrics": (("metric", "type", "labels", "means"), metrics),
}


def table(name: str) -> str:
    """Return the table of TABLES that has this name, in Markdown."""
    head, rows = TABLES[name]
    body = "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in [head, *rows()])
    return body.replace("\n", "\n" + "|---" * len(head) + "|\n", 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def filled(page: str) -> str:
    """Return a page with all its tables up to date."""
    return MARKED.sub(lambda match: f"{match['start']}\n{table(match['name'])}{match['end']}", page)


def stale(page: str) -> list[str]:
    """Return the names of the tables of a page that are not up to date."""
    found = zip(MARKED.finditer(page), MARKED.finditer(filled(page)), strict=True)
    return [was["name"] for was, now in found if was[0] != now[0]]


def main() -> int:
    """Write the tables, or with --check compare them with the code. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing, and name the tables that are not up to date"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder of the pages")
    args = parser.parse_args()
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(args.docs.glob("*.md"))}
    places = sorted(match["name"] for page in pages.values() for match in MARKED.finditer(page))
    if places != sorted(TABLES):
        print(f"reference: the pages have places for {places}, but the tables are {sorted(TABLES)}", file=sys.stderr)
        return 1
    old = {path: names for path, page in pages.items() if (names := stale(page))}
    described, place = description(), args.docs / "openapi.json"
    is_described = place.exists() and place.read_text(encoding="utf-8") == described
    if args.check and not is_described:
        print(f"{place.name}: not up to date; run python scripts/checks/reference.py", file=sys.stderr)
        return 1
    if not is_described:
        place.write_text(described, encoding="utf-8")
    if args.check and old:
        for path, names in old.items():
            print(
                f"{path.name}: not up to date: {', '.join(names)}; run python scripts/checks/reference.py",
                file=sys.stderr,
            )
        return 1
    for path in old:
        path.write_text(filled(pages[path]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
