"""Tests the built wheel, installed alone: its files, its imports, and its use on a machine that only submits."""

import email.parser
import json
import os
import re
import socket
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("jobs", "workers")
HEAVY = {"ray", "torch", "transformers", "accelerate", "numpy"}
IO = {"redis", "fsspec", "pydantic", "typer", "rich"}


@dataclass(frozen=True)
class Machine:
    """A fresh environment with the wheel and its base dependencies alone."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in its own folder, away from the source tree."""
        program = str(self.folder / "venv" / "bin" / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=dict(self.env),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def nightpress(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run("nightpress", *args)


def clean_environment() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if not n.startswith(("NIGHTPRESS_", "PYTHON", "VIRTUAL_ENV", "COV"))}


def pip(*args: str) -> None:
    """Run this environment's pip. Fails with its error output."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *args]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), ".")
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine that only submits: its storage is a folder, and no Redis listens at its address."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "venv", with_pip=False)
    pip("--python", str(folder / "venv" / "bin" / "python"), "install", "-c", "constraints.txt", str(wheel))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "NIGHTPRESS_STORE_URL": str(folder / "store"),
        "NIGHTPRESS_REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "NIGHTPRESS_CACHE_DIR": str(folder / "cache"),
    }
    return Machine(folder, {**clean_environment(), **settings, "NO_COLOR": "1"})


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        [member] = [n for n in archive.namelist() if n.endswith(f".dist-info/{name}")]
        return archive.read(member).decode()


def test_wheel_holds_every_file_of_both_packages_and_nothing_else(wheel: Path) -> None:
    """No import would fail if the queue's scripts, the templates or py.typed were missing."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == sources
    assert {"jobs/py.typed", "workers/py.typed", "jobs/lanes/lua/claim.lua"} <= held
    assert any(name.endswith(".j2") for name in held)


def test_metadata_names_command_licence_and_private_classifier(wheel: Path) -> None:
    fields: Message = email.parser.Parser().parsestr(metadata(wheel, "METADATA"))
    assert fields["Name"] == "nightpress"
    assert fields["License-Expression"] == "Apache-2.0"
    assert "Private :: Do Not Upload" in (fields.get_all("Classifier") or [])
    assert "Apache License" in metadata(wheel, "licenses/LICENSE")
    assert "nightpress = jobs.commands.cli:main" in metadata(wheel, "entry_points.txt")


def test_jobs_and_workers_resolve_to_our_distribution(machine: Machine) -> None:
    """Both names are common words, but no other package of a fresh environment has them."""
    code = (
        "import json, jobs, workers; from importlib.metadata import packages_distributions as found;"
        f"print(json.dumps([found()[n] for n in {PACKAGES!r}] + [jobs.__file__, workers.__file__]))"
    )
    done = machine.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    of_jobs, of_workers, *files = json.loads(done.stdout)
    assert of_jobs == of_workers == ["nightpress"]
    assert all(Path(file).is_relative_to(machine.folder / "venv") for file in files)


def test_source_tree_resolves_to_our_distribution() -> None:
    import jobs
    import workers

    assert {Path(module.__path__[0]) for module in (jobs, workers)} == {ROOT / name for name in PACKAGES}
    assert (distribution("nightpress").read_text("direct_url.json") or "").find(str(ROOT)) >= 0


def test_a_machine_that_submits_has_neither_torch_nor_ray(machine: Machine) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {sorted(HEAVY)!r} if find_spec(n)])"
    assert machine.run("python", "-c", code).stdout.strip() == "[]"


def test_a_machine_that_submits_enqueues_and_asks_for_status(machine: Machine) -> None:
    """Redis does not answer, and is not needed: the batch is a folder in storage, and its counts come from there."""
    rows = machine.folder / "rows.jsonl"
    rows.write_text('{"prompt": "Name a herb."}\n{"prompt": 7}\n{"prompt": "Name a tree."}\n')
    enqueued = machine.nightpress("enqueue", str(rows), "--model", "stub", "--kind", "chat", "--name", "herbs")
    assert enqueued.returncode == 0, enqueued.stderr
    batch_id = enqueued.stdout.strip()
    assert re.fullmatch(r"herbs-[0-9a-f]+", batch_id)

    status = machine.nightpress("status", "--json")
    assert status.returncode == 0, status.stderr
    shown = json.loads(status.stdout)
    [batch] = shown["batches"]
    assert (batch["id"], batch["rows"], batch["failed"], batch["completed"]) == (batch_id, 3, 1, 0)
    assert shown["workers"] == []
    assert "from storage alone" in status.stderr
    assert "Traceback" not in status.stderr


def test_a_machine_that_submits_names_the_packages_that_running_needs(machine: Machine) -> None:
    """The commands that need workers exist. If the workers' packages are missing, these commands name the remedy, with exit
    status 3.
    """
    rows = machine.folder / "one.jsonl"
    rows.write_text('{"kind": "chat", "prompt": "Name a herb."}\n')
    run = machine.nightpress("run", str(rows), "--model", "stub", "--out", str(machine.folder / "out"))
    assert run.returncode == 3
    assert len(run.stderr.splitlines()) == 1
    assert re.search(r"pip install .nightpress\[workers", run.stderr)
    assert not (machine.folder / "out").exists()
    assert "Traceback" not in run.stderr


def imported(*command: str) -> set[str]:
    """The top-level names that a Python command loads, as `-X importtime` lists them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT,
        env=clean_environment(),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", done.stderr, flags=re.MULTILINE)
    assert "encodings" in names
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("command", "forbidden"),
    [
        pytest.param(["-c", "import jobs, workers"], HEAVY | IO, id="the packages"),
        pytest.param(
            ["-c", "import jobs.commands.cli; jobs.commands.cli.main(['--help'])"], HEAVY | {"redis"}, id="--help"
        ),
        pytest.param(
            ["-c", "import jobs.commands.cli; jobs.commands.cli.main(['run', '--help'])"],
            HEAVY | {"redis"},
            id="run --help",
        ),
    ],
)
def test_importing_loads_nothing_heavy(command: Sequence[str], forbidden: set[str]) -> None:
    """Even if everything is installed, heavy packages are imported only when they are used."""
    names = imported(*command)
    assert "jobs" in names
    assert not names & forbidden


def pins() -> dict[str, str]:
    lines = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def required() -> set[str]:
    """The names of all packages that the base, the extras and the groups require on this machine, from installed metadata."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [
        *project["project"]["dependencies"],
        *(r for group in project["project"]["optional-dependencies"].values() for r in group),
        *(r for group in project["dependency-groups"].values() for r in group),
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        for extra in ["", *requirement.extras]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                needs = distribution(name).requires or []
            except PackageNotFoundError:  # this package is of a group that is not installed here; it has its own pin
                continue
            waiting += [n for n in needs if (m := Requirement(n).marker) is None or m.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def test_every_package_that_is_installed_has_an_exact_pin() -> None:
    """The pin of torch matters most: without it, pip installs a CUDA build of several GB."""
    versions = pins()
    assert sorted(required() - set(versions)) == []
    assert all(re.fullmatch(r"[0-9][0-9a-z.+!]*", version) for version in versions.values())
    assert "+" not in versions["torch"]
