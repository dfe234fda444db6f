"""The README's tables, made of the code: commands, settings, error codes, log events, metrics.

    python scripts/readme_tables.py            # write them
    python scripts/readme_tables.py --check    # write nothing; exit 1 when one of them is not up to date

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; all else is left as it is.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from jobs.commands import cli
from jobs.errors import CODES
from jobs.logs import EVENTS
from jobs.settings import Settings
from workers.fleet import metrics as fleet
from workers.worker import metrics as worker

README = Path(__file__).parents[1] / "README.md"
MARKED = re.compile(r"(?P<start><!-- table: (?P<name>\w+) -->)\n.*?(?P<end><!-- end -->)", flags=re.DOTALL)
NESTED = ("prices", "models")
"""Settings whose values are tables of their own, which a section of the README shows."""


def commands() -> Iterator[tuple[str, str]]:
    """Each command with its arguments, such as `failed retry BATCH`, and the first line of its help."""
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


def settings() -> Iterator[tuple[str, str, str]]:
    """Each setting, its default, and what it does."""
    for name, field in Settings.model_fields.items():
        said = field.description or ""
        if name in NESTED:
            yield f"`{name}`", "", f"{said} See [Add a model](#add-a-model)."
        else:
            yield f"`{name}`", _default(name, field.default), said


def _default(name: str, value: Any) -> str:
    if value is None or value == {}:
        return ""
    if name.endswith("_bytes") and value % 1024 == 0:
        return f"{value >> 20} MiB" if value % (1 << 20) == 0 else f"{value >> 10} KiB"
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def named(declared: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each name of a declaration, and its sentence."""
    return ((f"`{name}`", sentence) for name, sentence in declared.items())


TABLES: dict[str, tuple[Sequence[str], Callable[[], Iterable[Sequence[str]]]]] = {
    "commands": (("command", "does"), commands),
    "settings": (("setting", "default", "what it does"), settings),
    "codes": (("code", "means"), lambda: named(CODES)),
    "events": (("event", "means, and its keys"), lambda: named(EVENTS)),
    "metrics": (("metric", "means"), lambda: named(worker.METRICS | fleet.METRICS)),
}


def table(name: str) -> str:
    """One table, in Markdown."""
    head, rows = TABLES[name]
    body = "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in [head, *rows()])
    return body.replace("\n", "\n" + "|---" * len(head) + "|\n", 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def filled(readme: str) -> str:
    """The README with each table as it should be. Raises ValueError when one has no place, or more than one."""
    places = sorted(match["name"] for match in MARKED.finditer(readme))
    if places != sorted(TABLES):
        raise ValueError(f"the README has places for {places}, the tables are {sorted(TABLES)}")
    return MARKED.sub(lambda match: f"{match['start']}\n{table(match['name'])}{match['end']}", readme)


def stale(readme: str) -> list[str]:
    """The names of the tables that are not up to date."""
    found = zip(MARKED.finditer(readme), MARKED.finditer(filled(readme)), strict=True)
    return [was["name"] for was, now in found if was[0] != now[0]]


def main() -> int:
    """Write the tables, or compare them. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say which tables are not up to date")
    args = parser.parse_args()
    readme = README.read_text(encoding="utf-8")
    try:
        old = stale(readme)
    except ValueError as error:
        print(f"readme_tables: {error}", file=sys.stderr)
        return 1
    if args.check and old:
        print(f"{README.name}: not up to date: {', '.join(old)}; run python scripts/readme_tables.py", file=sys.stderr)
        return 1
    if old:
        README.write_text(filled(readme), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
