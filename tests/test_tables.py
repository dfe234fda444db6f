"""Tests that error codes, log events, settings and commands are declared, used and documented alike."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.commands import cli
from jobs.errors import CODES
from jobs.logs import EVENTS
from jobs.settings import Settings

ROOT = Path(__file__).parents[1]
CODE_AT = {"RowError": 0, "CheckFailed": 0, "GenerationFailed": 0, "Fault": 0, "Finding": 0, "RowFault": 2}
"""A callable that takes an error code -> the position of that argument."""
RAYS_KEYS = {"job_id", "task_id", "worker_id", "actor_id", "node_id"}
LEVELS = {"debug", "info", "warning", "error", "exception"}


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def calls(*folders: str) -> Iterator[tuple[str, ast.Call]]:
    for path, tree in sources(*folders):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{path}:{node.lineno}", node


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def strings(*folders: str, but: str) -> set[str]:
    """Every string constant of the code, except those of the file `but`, in which the names are declared."""
    return {
        node.value
        for path, tree in sources(*folders)
        if path != but
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def given_codes() -> dict[str, str]:
    """Place in the code -> the error code that stands there as a literal."""
    found = {}
    for place, call in calls("jobs", "workers"):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        at = CODE_AT.get(name)
        if at is not None and len(call.args) > at and (code := literal(call.args[at])) is not None:
            found[place] = code
    return found


@dataclass(frozen=True)
class LogCall:
    """A call of the logger. `event` is None when it is not a literal; `whole` means that the call names all its keys."""

    event: str | None
    keys: frozenset[str]
    whole: bool


def logged() -> dict[str, LogCall]:
    """Place in the code -> the call of the logger there."""
    found = {}
    for place, call in calls("jobs", "workers", "scripts"):
        func = call.func
        if (
            isinstance(func, ast.Attribute)
            and func.attr in LEVELS
            and isinstance(func.value, ast.Call)
            and getattr(func.value.func, "id", "") == "logger"
        ):
            keys = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
            found[place] = LogCall(literal(call.args[0]), keys, all(keyword.arg for keyword in call.keywords))
    return found


def keys_of(event: str) -> tuple[set[str], set[str]]:
    """The keys that the table of events promises, and those that it allows: `a, b or c` promises only a."""
    _, colon, keys = EVENTS[event].rpartition(":")
    parts = keys.rstrip(".").split(",") if colon else []
    promised = {part.strip() for part in parts if " or " not in part}
    return promised, promised | {key.strip() for part in parts for key in part.split(" or ")}


def test_every_code_that_is_given_is_declared() -> None:
    given = given_codes()
    assert len(given) > 20  # otherwise the search itself could find nothing, and no test would notice
    assert {place: code for place, code in given.items() if code not in CODES} == {}


def test_every_declared_code_is_given_somewhere() -> None:
    assert sorted(set(CODES) - strings("jobs", "workers", but="jobs/errors.py")) == []


def test_every_code_has_a_test_that_names_it() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name)
    assert [code for code in CODES if not re.search(rf"\b{code}\b", text)] == []


def test_every_event_that_is_logged_is_declared() -> None:
    events = {place: call.event for place, call in logged().items() if call.event is not None}
    assert len(events) > 15
    assert {place: event for place, event in events.items() if event not in EVENTS} == {}


def test_every_declared_event_is_logged_somewhere() -> None:
    assert sorted(set(EVENTS) - strings("jobs", "workers", "scripts", but="jobs/logs.py")) == []


def test_events_carry_the_keys_that_are_declared() -> None:
    wrong = {}
    for place, call in logged().items():
        if call.event in EVENTS:
            promised, allowed = keys_of(call.event)
            if unlike := (call.keys - allowed) | (promised - call.keys if call.whole else set()):
                wrong[place] = sorted(unlike)
    assert wrong == {}


def test_keys_are_not_those_of_rays_own_logs() -> None:
    """A log store that holds both must not mistake our keys for Ray's."""
    assert {place: call.keys & RAYS_KEYS for place, call in logged().items() if call.keys & RAYS_KEYS} == {}


def check_tables(docs: Path) -> subprocess.CompletedProcess[str]:
    """Compare the pages of a folder with the code."""
    command = [sys.executable, str(ROOT / "scripts/checks/reference.py"), "--check", "--docs", str(docs)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, timeout=60, check=False)


def test_the_tables_of_the_docs_are_those_that_the_script_writes() -> None:
    done = check_tables(ROOT / "docs")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("page", "old", "new", "message"),
    [
        pytest.param("reference", "| `wait BATCH` |", "| `await BATCH` |", "not up to date: commands;", id="commands"),
        pytest.param(
            "reference", "| `lease_s` | 60 |", "| `lease_s` | 61 |", "not up to date: settings;", id="settings"
        ),
        pytest.param("reference", "| `not_json` |", "| `no_json` |", "not up to date: codes;", id="codes"),
        pytest.param(
            "reference", "| `fleet.stopped` |", "|  `fleet.stopped` |", "not up to date: events;", id="events"
        ),
        pytest.param("kinds", "| `article` | `topic` |", "| `article` | `topics` |", "up to date: kinds;", id="kinds"),
        pytest.param("kinds", "| `seed` |", "| `seeds` |", "not up to date: row;", id="row"),
        pytest.param(
            "reference", "<!-- table: codes -->\n", "", "have places for ['commands', 'events'", id="no place"
        ),
    ],
)
def test_a_stale_table_is_named(tmp_path: Path, page: str, old: str, new: str, message: str) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    text = (docs / f"{page}.md").read_text()
    assert text.count(old) == 1
    (docs / f"{page}.md").write_text(text.replace(old, new))
    done = check_tables(docs)
    assert done.returncode == 1
    assert message in done.stderr


def section(title: str) -> str:
    """A section of the reference, without its heading."""
    page = (ROOT / "docs" / "reference.md").read_text()
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert found, f"the reference has no section {title!r}"
    return found[1]


def table(title: str) -> dict[str, str]:
    """The rows of the table in a section: the code words of the first cell -> the rest of the row."""
    rows = re.findall(r"^\| *(`.*?`[^|\n]*)\|(.*)\|$", section(title).replace(r"\|", "¦"), flags=re.MULTILINE)
    return {word: rest.strip() for first, rest in rows for word in re.findall(r"`([^`]+)`", first)}


@pytest.mark.parametrize(
    ("title", "declared"),
    [pytest.param("Error codes", CODES, id="codes"), pytest.param("Log events", EVENTS, id="events")],
)
def test_the_reference_lists_what_is_declared(title: str, declared: Mapping[str, str]) -> None:
    """The table has each declared name with its declared words, and no other name."""
    assert table(title) == dict(declared)


def test_the_reference_lists_every_setting_with_its_default() -> None:
    rows = {name.removeprefix("NIGHTPRESS_").lower(): rest for name, rest in table("Settings").items()}
    assert set(rows) == set(Settings.model_fields)
    assert [name for name, rest in rows.items() if not says_default(Settings.model_fields[name].default, rest)] == []


def says_default(default: Any, rest: str) -> bool:
    """Whether a row of the table contains the default of a plain setting; a size may be in KiB, MiB or GiB."""
    if default is None or not isinstance(default, int | float | str | Path):
        return True
    typed = [f"{default:g}" if isinstance(default, float) else str(default)]
    if isinstance(default, bool):
        typed = [str(default).lower()]
    elif isinstance(default, int) and default % 1024 == 0:
        typed += [f"{default >> 10} KiB", f"{default >> 20} MiB", f"{default >> 30} GiB"]
    return any(re.search(rf"(?<![\w.]){re.escape(one)}(?![\w.])", rest.replace(",", "")) for one in typed)


def commands(group: Any, before: str = "") -> Iterator[str]:
    """Each command that can be typed, such as `failed list`. Typer's own groups have no public type."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def test_the_reference_lists_every_command() -> None:
    cli.load_extensions()
    typed = set(commands(typer.main.get_command(cli.app)))
    assert {"run", "work", "status"} <= typed
    shown = {" ".join(re.findall(r"^(?:[a-z]+ ?)+", usage)[0].split()) for usage in table("Commands")}
    assert shown == typed
