"""Tests every command line and snippet of README.md and docs/: commands run, settings load, rows are accepted.

The first line of a fenced block names its language. `text` is for the output of a program or the contents of a file, and is not
tested.
"""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.batches.batch import QuoteTerms
from jobs.batches.open_batches import OpenBatches
from jobs.client import Client
from jobs.commands import cli
from jobs.gateway.app import make_app
from jobs.gateway.desk import Desk
from jobs.gateway.server import listening, server_of
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.lanes.redis_queue import RedisQueue
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.submissions.keys import SCOPES
from workers.worker.worker import Worker, WorkerPlan

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(nightpress [^`]+)`")
ONLY_PARSED = {"run", "work", "serve", "replay", "doctor", "models pull", "models env", "resume"}
"""Commands that need Ray, a network or a paused batch. Only their command lines are parsed; each has tests of its own."""
RAY_VARIABLES = {"RAY_AUTH_MODE=token", "RAY_worker_niceness=0"}
"""The variables of Ray that the pages set. `tests/acceptance/test_ray_clusters.py` starts clusters with these variables."""
STATUSES = {0, 1}
"""Exit statuses that are allowed. 0: done. 1: it ran, and some rows did not complete, or there was nothing to show."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


MEMORY = (
    '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>Save</seg></tuv>'
    '<tuv xml:lang="de"><seg>Sichern</seg></tuv></tu></body></tmx>'
)
"""A translation memory, which pages import."""


def snippets(*languages: str) -> list[Snippet]:
    found = []
    for path in PAGES:
        page = path.read_text()
        for match in BLOCK.finditer(page):
            line = page.count("\n", 0, match.start()) + 1
            found.append(Snippet(str(path.relative_to(ROOT)), line, match[1], match[2]))
    return [one for one in found if not languages or one.language in languages]


def shell_lines() -> list[tuple[str, str]]:
    """The place of each line of a shell block, and the line without its comment."""
    lines = []
    for one in snippets("sh"):
        for n, line in enumerate(one.text.splitlines(), 1):
            if command := line.partition(" #")[0].strip():
                lines.append((f"{one.page}:{one.line + n}", command))
    return lines


def command_lines() -> list[tuple[str, str]]:
    """The place and the text of each `nightpress …`, in blocks and in sentences."""
    found = [(place, line) for place, line in shell_lines() if line.startswith("nightpress ")]
    for path in PAGES:
        page = path.read_text()
        for match in INLINE.finditer(page):
            found.append((f"{path.relative_to(ROOT)}:{page.count(chr(10), 0, match.start()) + 1}", match[1]))
    # leave out placeholders, and an option that is only mentioned
    return [(place, line) for place, line in found if "COMMAND" not in line and "--install-completion" not in line]


def parse(arguments: list[str]) -> None:
    """Parse a command line as the command would, and run nothing. Fails on an unknown option or argument."""
    cli.load_extensions()
    command: Any = typer.main.get_command(cli.app)
    context = command.make_context("nightpress", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        name, command, arguments = command.resolve_command(context, arguments)
        if not hasattr(command, "commands") and not arguments:
            return  # the page only mentions the command
        if hasattr(command, "commands"):
            continue
        context = command.make_context(name, arguments, parent=context)


@pytest.fixture
def night(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The values of the pages' placeholders, in a folder with the files that the pages name, beside a worker and a sweeper."""
    settings = Settings(
        redis_url=redis_url, store_url=str(tmp_path / "store"), model="stub", flush_s=0.02, log_level="error"
    )
    monkeypatch.chdir(tmp_path)
    for name, value in (("REDIS_URL", redis_url), ("STORE_URL", settings.store_url), ("MODEL", "stub")):
        monkeypatch.setenv(f"NIGHTPRESS_{name}", value)
    rows = b'{"kind": "chat", "prompt": "Name a herb."}\n' * 5 + b'{"kind": "chat", "prompt": 7}\n'
    for name in ("tonight.jsonl", "requests.jsonl"):
        Path(name).write_bytes(rows)
    Path("glossary.csv").write_text("en,de\ninvoice,Rechnung\n")
    Path("nightpress.toml").write_text('[terms]\nfiles = ["glossary.csv"]\n')
    monkeypatch.setenv("NIGHTPRESS_CACHE_DIR", str(tmp_path / "cache"))
    Path("corrected.tmx").write_text(MEMORY)
    Path("corrected.po").write_text('msgid "Save all"\nmsgstr "Alle sichern"\n')
    Path("inbox").mkdir()
    Path("messages.po").write_text('msgid "Close it"\nmsgstr ""\n')
    for name in ("pages/index.md", "locales/en.json"):
        Path(name).parent.mkdir()
        Path(name).write_text("# Open it" if name.endswith("md") else '{"a": "Open it"}')
    Path("tonight.csv").write_text("kind,prompt\nchat,Name a herb.\nchat,Name a tree.\n")
    Path("products.csv").write_text("Handle,Title,Vendor,Price\ntea,Green tea,Leaf,9\n")
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), settings.prices)
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    stopped = threading.Event()

    def sweep() -> None:
        while not stopped.wait(0.05):
            sweeper.sweep()

    threads = [threading.Thread(target=worker.run), threading.Thread(target=sweep)]
    for thread in threads:
        thread.start()
    try:
        first = accept_file(store, Path("tonight.jsonl"), IntakeOptions(), settings, "first").batch.batch_id
        assert cli.main(["wait", first]) in STATUSES
        yield {"BATCH": first, "ROW": "0", "LANE": "stub", "FORMAT": "csv", "PLACE": "place.csv"}
    finally:
        worker.stop(1.0)
        stopped.set()
        for thread in threads:
            thread.join(30)
        queue.close()


def test_each_block_names_its_language() -> None:
    known = {"sh", "python", "toml", "jsonl", "csv", "text", "bash", "javascript"}
    assert [f"{one}: {one.language!r}" for one in snippets() if one.language not in known] == []
    assert len(snippets()) > 15  # otherwise the search itself could find nothing, and no test would notice


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_each_command_of_the_pages_runs(night: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    wrong, run = [], 0
    for place, line in command_lines():
        arguments = [night.get(word, word) for word in shlex.split(line)[1:]]
        name = (
            " ".join(arguments[:2]) if arguments[0] in ("models", "failed", "memory", "terms", "keys") else arguments[0]
        )
        # the stub's texts need not repeat each other, and then there is nothing to reopen
        if name in ONLY_PARSED or len(arguments) == len(name.split()) or "--reopen-same" in arguments:
            parse(arguments)
            continue
        if name == "sweep" and "--dry-run" not in arguments:
            arguments.append("--dry-run")
        arguments[1:2] = [other_batch(name, arguments, night) or arguments[1]]
        if name == "failed retry" and "--row" not in arguments:
            arguments += [
                "--row",
                "0",
            ]  # the only row that did not complete was refused by intake, so no row can be run again
        if name == "results" and "-o" in arguments:
            Path(arguments[arguments.index("-o") + 1]).parent.mkdir(parents=True, exist_ok=True)
        if "s3://" in line:
            parse(arguments)
            continue
        if "--watch" in arguments:
            # with this option, the command would wait for the open batches of earlier lines
            arguments.remove("--watch")
        status, run = cli.main(arguments), run + 1
        printed = capsys.readouterr()
        if status not in STATUSES or "Traceback" in printed.err:
            wrong.append(f"{place}: {line}: {status}: {printed.err}")
    assert wrong == []
    assert run > 15


def published_batch(night: dict[str, str]) -> str:
    """Publish one more batch, and return its id."""
    rows = Path("more.jsonl")
    rows.write_text('{"kind": "chat", "prompt": "Name a bird."}\n')
    settings = Settings(store_url=os.environ["NIGHTPRESS_STORE_URL"], model="stub")
    store = open_store(settings.store_url)
    batch = accept_file(store, rows, IntakeOptions(), settings, f"more-{night['BATCH']}").batch.batch_id
    assert cli.main(["wait", batch]) == 0
    return batch


def other_batch(name: str, arguments: list[str], night: dict[str, str]) -> str | None:
    """Return a batch that a line needs in place of the one that the pages share; None if it takes that one."""
    if name == "delete":  # because later lines still need the first
        return published_batch(night)
    if name == "quote":
        return quoted_batch()
    if name == "cancel":
        return open_batch()
    return document_batch() if name == "results" and "document" in arguments else None


def open_batch() -> str:
    """Make a new batch that stays open, since no worker has its model, and return its id."""
    settings = Settings(store_url=os.environ["NIGHTPRESS_STORE_URL"], model="smollm2-135m")
    store = open_store(settings.store_url)
    key = secrets.token_hex(4)
    return accept_file(store, "tonight.csv", IntakeOptions(name="open"), settings, key).batch.batch_id


def quoted_batch() -> str:
    """Make a batch that is quoted, wait for its quote, and return its id."""
    settings = Settings(store_url=os.environ["NIGHTPRESS_STORE_URL"], model="stub")
    options = IntakeOptions(name="quoted", quote=QuoteTerms())
    batch = accept_file(open_store(settings.store_url), "tonight.csv", options, settings, "quoted").batch.batch_id
    assert cli.main(["quote", batch, "--wait"]) == 0
    return batch


def document_batch() -> str:
    """Make and publish a batch of a document, which all lines about documents share, and return its id."""
    settings = Settings(store_url=os.environ["NIGHTPRESS_STORE_URL"], model="stub")
    options = IntakeOptions(kind="translation", set=("source_language=en", "target_language=fr"))
    batch = accept_file(open_store(settings.store_url), "messages.po", options, settings, "document").batch.batch_id
    assert cli.main(["wait", batch]) in STATUSES
    return batch


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["enqueue", "tonight.csv", "--publish", "06:00"])


@pytest.mark.parametrize(("place", "line"), [pytest.param(*one, id=one[0]) for one in shell_lines()])
def test_other_programs_know_what_the_pages_pass_to_them(place: str, line: str) -> None:
    program, *rest = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{rest[0]}:.* ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert rest[0] == "install"
        assert rest[1:3] == ["-c", "constraints.txt"]
        assert set(re.findall(r"\w+", rest[3])) <= extras.keys()
    elif program == "export":
        name, _, value = rest[0].partition("=")
        assert f"{name}={value}" in RAY_VARIABLES or name.removeprefix("NIGHTPRESS_").lower() in Settings.model_fields
    elif program == "python":
        shown = subprocess.run(
            [sys.executable, rest[0], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert shown.returncode == 0, shown.stderr
        assert [word for word in rest if word.startswith("--") and word not in shown.stdout] == []
    elif program == "ray":
        from ray.scripts.scripts import cli as ray_cli

        ray_cli.commands[rest[0]].make_context(rest[0], rest[1:])
    elif program == "chmod":
        assert rest == ["600", "~/.ray/auth_token"]
    else:
        assert program == "nightpress", f"{place}: nothing here tries {program}"


@pytest.mark.parametrize("snippet", snippets("toml"), ids=str)
def test_each_settings_file_loads(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.settings import load

    if snippet.text.startswith("# pyproject.toml"):
        assert tomllib.loads(snippet.text)["project"]["entry-points"].keys() == {"nightpress.kinds"}
        return
    (tmp_path / "nightpress.toml").write_text(snippet.text)
    monkeypatch.chdir(tmp_path)
    loaded = load()
    named = tomllib.loads(snippet.text)
    assert [name for name in named if getattr(loaded, name) == Settings.model_fields[name].default] == []


@pytest.mark.parametrize("snippet", snippets("jsonl", "csv"), ids=str)
def test_each_row_is_accepted(snippet: Snippet, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{snippet.language}"
    path.write_text(snippet.text)
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    accepted = accept_file(open_store(settings.store_url), path, IntakeOptions(), settings, "k")
    assert list(accepted.faults) == []
    assert accepted.batch.rows == len(snippet.text.splitlines()) - (snippet.language == "csv")


@pytest.fixture
def gateway(night: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A gateway beside the night. Returns the variables by which clients find it."""
    client = Client()
    desk = Desk(client)
    _, key = desk.keys.make("pages", "shop", SCOPES)
    with listening(client.settings.gateway.model_copy(update={"port": 0})) as listener:
        server = server_of(make_app(desk), client.settings.gateway)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        found = {"OPENAI_BASE_URL": f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "OPENAI_API_KEY": key}
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        yield found
        server.should_exit = True
        thread.join(60)


@pytest.mark.parametrize(("language", "programs"), [("bash", ["bash", "curl", "jq"]), ("javascript", ["node"])])
def test_other_clients_of_the_pages_run(
    language: str, programs: list[str], gateway: dict[str, str], tmp_path: Path
) -> None:
    if missing := [one for one in programs if shutil.which(one) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    body = {"messages": [{"role": "user", "content": "Name a herb."}]}
    (tmp_path / "herbs.jsonl").write_text(json.dumps({**line, "body": body}))
    texts = [one.text for one in snippets(language)]
    assert texts
    path = tmp_path / ("page.mjs" if language == "javascript" else "page.sh")
    path.write_text("\n".join(texts))
    done = subprocess.run([programs[0], path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "validating" in done.stdout or "in_progress" in done.stdout or "completed" in done.stdout


@pytest.mark.parametrize("page", sorted({one.page for one in snippets("python")}))
def test_the_python_of_each_page_runs(page: str, gateway: dict[str, str]) -> None:
    """The blocks of one page are run as one program."""
    source = "\n".join(one.text for one in snippets("python") if one.page == page)
    exec(compile(source, page, "exec"), {"__name__": page})  # our own documentation


def test_rows_of_the_kind_of_the_pages_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an installation as the page describes it, rows of its kind are accepted."""
    from importlib.metadata import EntryPoint

    [first, *_] = [one for one in snippets("python") if one.page == "docs/kinds.md"]
    (tmp_path / "headlines.py").write_text(first.text)
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("headline", "headlines:HeadlineKind", "nightpress.kinds")]
    monkeypatch.setattr("jobs.kinds.registry.entry_points", lambda group: points)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "headline", "topic": "Bread"}\n{"kind": "headline"}\n')
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    accepted = accept_file(open_store(settings.store_url), path, IntakeOptions(), settings, "k")
    assert [(fault.line, fault.code) for fault in accepted.faults] == [(2, "missing_field")]


def test_each_link_leads_to_a_file() -> None:
    dead = []
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                dead.append(f"{path.name}: {target}")
    assert dead == []
