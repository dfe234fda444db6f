"""Shows jobs/commands/cli.py: the help, and the message and exit status of a mistake or a fault."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.commands.cli import main
from jobs.errors import StoreUnavailable
from tests.support.command_line import ROOT, Ran, command

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


COMMANDS = [
    "enqueue",
    "status",
    "wait",
    "results",
    "show",
    "usage",
    "cancel",
    "pause",
    "resume",
    "failed list",
    "failed retry",
    "publish",
    "models list",
    "doctor",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_fits_80_columns(command: str, nightpress: Callable[..., Ran]) -> None:
    ran = nightpress(*command.split(), "--help")
    assert ran.status == 0
    assert "Example: " in ran.out
    assert f"nightpress {command}" in " ".join(ran.out.split("Example: ")[1].split())
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_list_of_commands_has_a_whole_sentence_for_each(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("--help")
    named = {command.split()[0] for command in COMMANDS}
    listed = {line.split()[0]: line for line in ran.out.split("Commands:")[1].splitlines() if line.strip()}
    assert named <= listed.keys()
    assert [line for name, line in listed.items() if name in named and "..." in line] == []


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        pytest.param(["results", "nothing"], 2, "no batch 'nothing'", id="a batch that is not there"),
        pytest.param(["status", "../batches/night-1"], 2, "no batch '../b", id="a batch with a path in its name"),
        pytest.param(["show", "night-1", "4"], 2, "rows are 0 to 3", id="a row that is not there"),
        pytest.param(["cancel", "night-1"], 2, "is published already", id="cancelling what is published"),
        pytest.param(
            ["failed", "retry", "night-1", "--row", "9"], 2, "rows are 0 to 3", id="retrying a row that is not there"
        ),
        pytest.param(
            ["failed", "retry", "night-1", "--deadline", "soon"], 2, "'soon' is not a time", id="a wrong deadline"
        ),
        pytest.param(["usage", "--since", "once"], 2, "'once' is not a time", id="a wrong date"),
        pytest.param(["results", "night-1", "-o", "no/such/file"], 2, "cannot write no/such/file", id="a wrong path"),
        pytest.param(["results", "x" * 400], 2, "no batch 'xxx", id="a name that no file could have"),
        pytest.param(["enqueue", "a", "--deadline", "2020-01-01"], 2, "is past", id="a deadline that is past"),
        pytest.param(
            ["enqueue", "a", "--deadline", "+1h", "--publish-at", "+2h"], 2, "is not before", id="a late soft deadline"
        ),
        pytest.param(
            ["enqueue", "a", "--output-url", "zzz://q"], 2, "such URLs are read-only or unknown", id="a wrong URL"
        ),
        pytest.param(["enqueue", "dir://a/b"], 3, "cannot use dir://a/b", id="a URL that cannot be read"),
        pytest.param(["results", "night-1", "-o", "https://q/"], 2, "cannot write https://q/", id="a URL to read from"),
        pytest.param(["failed", "retry", "night-1", "--deadline", "2020-01-01"], 2, "is past", id="retrying too late"),
        pytest.param(["preview", os.devnull], 2, "holds no rows", id="nothing to preview"),
        pytest.param(["resume", "nope"], 2, "no lane and no batch 'nope'", id="resuming what is not there"),
        pytest.param(["pause", "night-1"], 2, "is a batch, and lanes are paused", id="pausing a batch"),
        pytest.param(["pause", "stub"], 3, "set NIGHTPRESS_REDIS_URL", id="pausing without a queue"),
        pytest.param(["status", "--interval", "x"], 2, "Invalid value", id="a wrong option"),
        pytest.param(["stauts"], 2, "stauts", id="a command that is not there"),
    ],
)
def test_a_mistake_is_one_line_and_never_a_traceback(
    args: Sequence[str], status: int, message: str, nightpress: Callable[..., Ran], night: Shelf
) -> None:
    ran = nightpress(*args)
    assert (ran.status, ran.out) == (status, "")
    assert message in ran.err
    assert "Traceback" not in ran.err
    if ran.err.startswith("nightpress: "):
        assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(StoreUnavailable("the disk is full:\nfree some"), 3, id="something that is needed is not there"),
        pytest.param(KeyboardInterrupt(), 130, id="Ctrl-C"),
    ],
)
def test_an_error_of_a_command_becomes_an_exit_status(
    error: BaseException, status: int, nightpress: Callable[..., Ran], shelf: Shelf
) -> None:
    def raising(_: float) -> None:
        raise error

    shelf.accept()
    ran = nightpress("wait", "night-1", sleep=raising)
    assert (ran.status, ran.out) == (status, "")
    assert "Traceback" not in ran.err
    if status == 3:
        assert ran.err.splitlines()[-1] == "nightpress: the disk is full: free some"


def test_wrong_settings_are_a_wrong_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTPRESS_LEASE_S", "never")
    assert main(["status"]) == 2
    assert "lease_s" in capsys.readouterr().err


def test_storage_that_cannot_be_reached_is_status_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTPRESS_STORE_URL", "s4://bucket/folder")
    assert main(["status"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nightpress: ")
    assert "s4" in line


def test_another_package_adds_a_command_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "presslib.py").write_text(
        "def register(app):\n    @app.command(name='ink')\n    def ink():\n        print('black')\n"
    )
    for name, module in (("press", "presslib"), ("gone", "no_such_module")):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[nightpress.commands]\n{name} = {module}:register\n")
    ran = command("ink", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (ran.status, ran.out) == (0, "black\n")
    assert "no_such_module" in ran.err


IO = {"torch", "ray", "transformers", "redis", "fsspec", "rich", "structlog", "jinja2"}


@pytest.mark.parametrize(
    ("args", "forbidden"),
    [
        pytest.param(["--help"], IO | {"pydantic", "pydantic_core"}, id="--help"),
        pytest.param(["status"], IO, id="status"),
        pytest.param(["enqueue", "night.jsonl", "--model", "stub"], IO, id="enqueue"),
    ],
)
def test_a_short_command_loads_only_what_it_needs(args: Sequence[str], forbidden: set[str], tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").write_text('{"kind": "chat", "prompt": "Hi"}\n')
    code = (
        f"import sys; from jobs.commands.cli import main; status = main({list(args)!r});"
        f"print([name for name in {sorted(forbidden)!r} if name in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(["usage", "--format", "csv"], ['"night-1",', '"night-3",'], id="usage"),
        pytest.param(["usage"], ["night-1", "night-3", "total"], id="usage as a table"),
        pytest.param(["status"], ["night-1  published", "night-3  published", "night-4  open"], id="status"),
        pytest.param(["sweep", "--older-than", "1h", "--yes"], ["night-1\n", "night-3\n"], id="sweep"),
    ],
)
@pytest.mark.parametrize("name", ["published/*/usage.json", "batch.json", "done-1.json"])
def test_a_damaged_batch_is_named_with_status_3_and_the_others_are_there(
    nightpress: Callable[..., Ran], shelf: Shelf, command: list[str], shown: list[str], name: str
) -> None:
    for n in (1, 2, 3):
        shelf.accept(f"night-{n}", 1)
        shelf.write(f"night-{n}", [shelf.completed(0)])
        shelf.publish(f"night-{n}")
    shelf.accept("night-4", 1)
    shelf.forget_summaries()
    (path,) = Path(shelf.store.url).glob(f"batches/night-2/{name}")
    path.write_bytes(path.read_bytes().replace(b"1", b"7", 1)[1:])
    shelf.pass_s(7200)
    ran = nightpress(*command)
    assert ran.status == 3
    assert all(words in ran.out for words in shown), ran.out
    assert "night-2" not in ran.out
    last = ran.err.splitlines()[-1]
    assert "night-2/" in last
    assert re.search(r" is damaged.*\. Restore it from a backup", last)
    assert shelf.store.exists("batches/night-2/input/stub.jsonl")
