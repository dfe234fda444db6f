"""The command line: what goes to which stream, and with what exit status."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import fsspec
import orjson
import pytest
from rich.console import Console

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import pause
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.lanes.protocol import FeedRow, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.usage import Usage

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ran:
    """What one call of the command came to."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return orjson.loads(self.out)

    def rows(self) -> list[Any]:
        return [orjson.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def nightpress(
    shelf: Shelf, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Runs a command in this process, on the shelf's store and clock; without a queue unless one is given."""
    monkeypatch.chdir(tmp_path)  # away from any nightpress.toml

    def run(*args: str, **given: Any) -> Ran:
        settings = Settings(store_url=str(tmp_path / "store"))
        status = main(args, Session(settings, clock=shelf.clock, **given))
        out, err = capsysbinary.readouterr()
        return Ran(status, out.decode(), err.decode())

    return run


@pytest.fixture
def night(shelf: Shelf) -> Shelf:
    """A published batch `night-1`: rows 0 and 3 completed, 2 failed after a try, 1 was refused."""
    shelf.accept(rows=4, refused=[1])
    shelf.write("night-1", [shelf.completed(3), shelf.failed(2, final=False)])
    shelf.write("night-1", [shelf.failed(2), shelf.completed(0)])
    shelf.publish()
    return shelf


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


def test_the_list_of_commands_says_each_in_a_whole_sentence(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("--help")
    named = {command.split()[0] for command in COMMANDS}
    said = {line.split()[0]: line for line in ran.out.split("Commands:")[1].splitlines() if line.strip()}
    assert named <= said.keys()
    assert [line for name, line in said.items() if name in named and "..." in line] == []


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        pytest.param(["results", "nothing"], 2, "no batch 'nothing'", id="a batch that is not there"),
        pytest.param(["status", "../batches/night-1"], 2, "no batch '../b", id="a batch with a path in its name"),
        pytest.param(["show", "night-1", "4"], 2, "rows 0 to 3", id="a row that is not there"),
        pytest.param(["cancel", "night-1"], 2, "is published already", id="cancelling what is published"),
        pytest.param(
            ["failed", "retry", "night-1", "--row", "9"], 2, "rows 0 to 3", id="retrying a row that is not there"
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
    args: Sequence[str], status: int, said: str, nightpress: Callable[..., Ran], night: Shelf
) -> None:
    ran = nightpress(*args)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err
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
def test_what_a_command_raises_becomes_an_exit_status(
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


def command(*args: str, cwd: Path, **env: str) -> Ran:
    """Runs a command in a process of its own."""
    code = "import sys; from jobs.commands.cli import main; sys.exit(main())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from jobs.commands.cli import main; main(['--help']);"
        "print(sorted({'torch', 'ray', 'transformers', 'redis', 'fsspec', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# What the commands say of a published batch.


def test_results_are_the_published_bytes(nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path) -> None:
    ran = nightpress("results", "night-1")
    (folder,) = night.store.list("batches/night-1/published")
    published = night.store.read(f"batches/night-1/published/{folder}/output.jsonl")
    assert (ran.status, ran.out.encode(), ran.err) == (0, published, "")
    assert [row["row"] for row in ran.rows()] == [0, 3]
    ran = nightpress("results", "night-1", "-o", "out.jsonl")
    assert (ran.out, (tmp_path / "out.jsonl").read_bytes()) == ("", published)
    assert [row["row"] for row in nightpress("results", "night-1", "--errors").rows()] == [1, 2]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        pytest.param("jsonl", "output.jsonl", id="jsonl"),
        pytest.param("csv", "output.csv", id="csv"),
        pytest.param("openai", "output.jsonl", id="openai"),
        pytest.param("parquet", "output.parquet", id="parquet"),
    ],
)
def test_results_go_to_a_file_a_folder_or_a_url(
    nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path, form: str, name: str
) -> None:
    del night
    (tmp_path / "there").mkdir()
    places = {
        "a file": (str(tmp_path / "file"), tmp_path / "file"),
        "a folder that is there": ("there", tmp_path / "there" / name),
        "a folder that is not": ("new/folder/", tmp_path / "new/folder" / name),
        "a URL of this machine": (f"file://{tmp_path}/url/", tmp_path / "url" / name),
    }
    for place, _ in places.values():
        assert nightpress("results", "night-1", "--format", form, "-o", place).status == 0
    assert nightpress("results", "night-1", "--format", form, "-o", f"memory://results/{form}").status == 0
    with fsspec.open(f"memory://results/{form}") as remote:
        found = {remote.read(), *(path.read_bytes() for _, path in places.values())}
    assert len(found) == 1
    assert found != {b""}
    assert nightpress("results", "night-1", "--format", form, "--errors", "-o", "there").status == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [f"errors.{name.partition('.')[2]}", name]


def test_pages_go_to_a_folder_or_a_url(nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path) -> None:
    del night
    (tmp_path / "file").write_bytes(b"")
    assert nightpress("results", "night-1", "--format", "markdown", "-o", "pages").status == 0
    assert nightpress("results", "night-1", "--format", "markdown", "-o", "memory://site/posts/").status == 0
    pages = {path.name: path.read_bytes() for path in (tmp_path / "pages").iterdir()}
    assert sorted(pages) == ["000000-c0.md", "000003-c3.md"]
    for name, page in pages.items():
        with fsspec.open(f"memory://site/posts/{name}") as remote:
            assert remote.read() == page
    for place in ([], ["-o", "file"]):
        ran = nightpress("results", "night-1", "--format", "markdown", *place)
        assert (ran.status, "name a folder with -o" in ran.err) == (2, True)


def test_results_of_an_unfinished_batch_are_marked_so(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=4, refused=[3])
    shelf.write("night-1", [shelf.completed(2), shelf.failed(1, final=False)], worker="a")
    shelf.write("night-1", [shelf.completed(0), shelf.completed(2, output={"text": "later"})], worker="b")
    ran = nightpress("results", "night-1")
    assert [(row["row"], row["output"]["text"]) for row in ran.rows()] == [(0, "Text 0"), (2, "Text 2")]
    assert ran.rows()[0]["status"] == "completed"
    assert "not finished: 2 of 4 rows so far" in ran.err
    ran = nightpress("results", "night-1", "--errors")
    assert [(row["row"], row["error"]["code"]) for row in ran.rows()] == [(3, "not_json")]


def test_results_of_a_reopened_batch_are_those_of_the_round_before(
    nightpress: Callable[..., Ran], night: Shelf
) -> None:
    assert nightpress("failed", "retry", "night-1").status == 0
    ran = nightpress("results", "night-1")
    assert [row["row"] for row in ran.rows()] == [0, 3]
    assert "round 2 is open" in ran.err


def test_show_tells_all_of_a_row(nightpress: Callable[..., Ran], night: Shelf) -> None:
    shown = nightpress("show", "night-1", "2", "--json").json()
    assert shown["request"]["request"] == {"prompt": "Row 2"}
    assert [(attempt["status"], attempt["final"]) for attempt in shown["attempts"]] == [
        ("failed", False),
        ("failed", True),
    ]
    assert shown["outcome"]["error"]["code"] == "empty_output"
    shown = nightpress("show", "night-1", "3", "--json").json()
    assert shown["outcome"]["usage"]["prompt_tokens"] == 103
    refused = nightpress("show", "night-1", "1", "--json").json()
    assert (refused["request"], refused["outcome"]["error"]["line"]) == (None, 2)


def test_show_reads_as_a_story_and_fits_80_columns(
    nightpress: Callable[..., Ran], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shelf.accept(rows=2, refused=[1])
    shelf.write("night-1", [shelf.failed(0, final=False)])
    shelf.write("night-1", [shelf.priced(0, "EUR", output={"text": "word " * 40}, wasted=Usage(0, 0, 7))])
    shelf.publish()
    out = nightpress("show", "night-1", "0").out
    assert max(map(len, out.splitlines())) <= 80
    for said in (
        "night-1 row 0 (c0): chat by stub, line 1 of the input",
        "request\n  prompt: Row 0\n",
        "prompt main\n  user:\n    Row 0\n",
        "attempt 1, round 1: failed, to be tried again\n  check failed: empty_output: the model wrote nothing\n",
        "by w, 2026-11-23T22:00:00+00:00 to 2026-11-23T22:00:00+00:00: completed\n  checks passed\n",
        "7 tokens were written again",
        "outcome: completed\n  text: word word",
        "100 prompt tokens (0 cached), 10 completion tokens",
        "0.001400 EUR charged",
    ):
        assert " ".join(said.split()) in " ".join(out.split())
    assert "refused at intake" in nightpress("show", "night-1", "1").out


def test_show_of_a_row_that_nobody_has_tried(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept()
    ran = nightpress("show", "night-1", "2", "--json")
    assert (ran.json()["attempts"], ran.json()["outcome"]) == ([], None)
    assert "not published yet" in ran.err


def test_failed_rows_are_listed_with_what_is_wrong(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "list", "night-1")
    assert ran.out.splitlines() == [
        "row 1, line 2: not_json: not JSON",
        "row 2 (c2), line 3: empty_output: the model wrote nothing",
    ]
    assert [row["row"] for row in nightpress("failed", "list", "night-1", "--json").rows()] == [1, 2]


def test_failed_rows_can_be_tried_again_but_only_when_published(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("failed", "retry", "night-1", "--row", "3", "--deadline", "+8h")
    assert (ran.status, ran.out) == (0, "")
    assert "round 2 is open" in ran.err
    reopened = orjson.loads(night.store.read("batches/night-1/reopen-2.json"))
    assert (reopened["rows"], reopened["deadline"]) == ([3], "2026-11-24T06:00:00Z")
    ran = nightpress("failed", "retry", "night-1")
    assert ran.status == 2
    assert "still open" in ran.err


def test_wait_ends_with_what_became_of_the_rows(nightpress: Callable[..., Ran], night: Shelf) -> None:
    ran = nightpress("wait", "night-1")
    assert (ran.status, ran.out) == (1, "")
    assert "4 rows: 2 completed, 2 failed" in ran.err
    night.accept("good", 1)
    night.write("good", [night.completed(0)])
    ran = nightpress("wait", "good")
    assert ran.status == 0, "all rows have outcomes, so whoever waits also publishes"


def test_wait_goes_on_until_the_batch_is_published(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2)
    left = iter([0, 1])

    def work(seconds: float) -> None:
        shelf.pass_s(seconds)
        shelf.write("night-1", [shelf.completed(next(left))])

    assert nightpress("wait", "night-1", sleep=work).status == 0


def test_wait_ends_when_its_time_is_over_and_the_batch_goes_on(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    ran = nightpress("wait", "night-1", "--timeout", "+30s", "--interval", "10", sleep=shelf.pass_s)
    assert (ran.status, ran.out) == (4, "")
    assert "night-1 is not published yet: 2 rows: 1 completed; it goes on" in ran.err
    assert nightpress("wait", "night-1", "--timeout", "soon").status == 2


def test_wait_ends_at_once_when_the_batch_has_paused_itself(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    batch = shelf.accept(rows=2)
    pause(shelf.store, batch, "its first 50 rows all failed", clock=shelf.clock)
    ran = nightpress("wait", "night-1")
    assert ran.status == 4
    assert "night-1 is paused: its first 50 rows all failed; to go on: nightpress resume night-1" in ran.err


def test_publish_says_what_is_missing(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(1)])
    ran = nightpress("publish", "night-1")
    assert (ran.status, ran.out) == (1, "")
    assert "2 of 3 rows have no outcome yet: 0, 2" in ran.err
    shelf.write("night-1", [shelf.completed(0), shelf.completed(2)])
    ran = nightpress("publish", "night-1")
    assert ran.status == 0
    assert "round 1 is published, 3 completed" in ran.err


def test_publish_takes_the_outputs_of_its_batch_alone_to_their_url(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    """A path may be one of another machine, where its own fleet is to write it."""
    batches = []
    for n in range(2):
        (tmp_path / f"{n}.jsonl").write_bytes(orjson.dumps({"kind": "chat", "prompt": 1}))
        ran = nightpress("enqueue", f"{n}.jsonl", "--output-url", f"out/{n}/")
        batches.append(ran.out.strip())
    shelf.publish(batches[0])
    assert nightpress("publish", batches[1]).status == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]
    assert shelf.store.list("undelivered") == [batches[0]]


def test_cancel_without_a_queue_leaves_the_marker_that_decides(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2)
    ran = nightpress("cancel", "night-1")
    assert (ran.status, ran.out) == (0, "")
    assert orjson.loads(shelf.store.read("batches/night-1/closed-1.json"))["reason"] == "cancelled"
    ran = nightpress("publish", "night-1")
    assert ran.status == 1
    assert "2 cancelled" in ran.err


def test_a_batch_may_be_named_by_the_start_of_its_id(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept("night-1a")
    shelf.accept("night-2b")
    assert nightpress("status", "night-2", "--json").json()["batches"][0]["id"] == "night-2b"
    ran = nightpress("status", "night")
    assert ran.status == 2
    assert "2 batches start with 'night'" in ran.err


def test_status_fits_80_columns_and_has_no_colour(nightpress: Callable[..., Ran], night: Shelf) -> None:
    long_id = "a-very-long-name-that-somebody-gave-to-a-batch-0123456789" + "-and-more" * 5
    night.accept(long_id, 1_000)
    ran = nightpress("status")
    assert "from storage alone" in ran.err
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert long_id in "".join(ran.out.split())
    assert "completed 2  failed 2" in ran.out


def test_status_of_nothing_says_what_to_do(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("status")
    assert (ran.status, ran.out) == (0, "")
    assert "nightpress enqueue" in ran.err


def test_status_watches_until_the_batch_is_published(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=30)
    left = list(range(30))

    def work(seconds: float) -> None:
        shelf.pass_s(seconds)
        rows, left[:] = left[:10], left[10:]
        shelf.write("night-1", [shelf.completed(row) for row in rows])
        if not left:
            shelf.publish()

    ran = nightpress("status", "night-1", "--watch", "--interval", "5", sleep=work)
    assert ran.status == 0
    assert ran.out.splitlines()[:3] == [
        "night-1 open: 0 of 30 rows, 0 failed",
        "night-1 open: 10 of 30 rows, 0 failed, 2.0 rows/s, 20 tokens/s, 10 s left",
        "night-1 open: 20 of 30 rows, 0 failed, 2.0 rows/s, 20 tokens/s, 5 s left",
    ]
    assert ran.out.splitlines()[3] == "night-1  published"
    assert "tokens: 3,435 prompt, 300 completion" in ran.out


def test_a_watch_goes_on_where_another_batch_is_damaged(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    for batch_id in ("night-1", "night-2"):
        shelf.accept(batch_id, rows=2)

    def work(seconds: float) -> None:
        shelf.pass_s(seconds)
        shelf.store.create(BatchPaths("night-2").segment(f"w-a-1-{'0' * 64}.jsonl"), b"{}\n")
        if shelf.store.list(BatchPaths("night-1").segments):
            shelf.publish()
        else:
            shelf.write("night-1", [shelf.completed(0), shelf.completed(1)])

    ran = nightpress("status", "--watch", sleep=work)
    assert ran.status == 3
    assert "night-1  published" in ran.out
    assert ran.err.splitlines()[-1].endswith("is damaged. Restore it from a backup.")


def test_on_a_terminal_the_watch_is_drawn_in_place(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.accept(rows=2)

    def work(seconds: float) -> None:
        shelf.pass_s(seconds)
        shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
        shelf.publish()

    session = Session(Settings(store_url=str(tmp_path / "store")), clock=shelf.clock, sleep=work)
    screen = io.StringIO()
    session.out = Console(file=screen, force_terminal=True, width=80)
    assert main(["status", "--watch"], session) == 0
    assert "night-1  open" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K"), "and cleared at the end"
    assert "completed 1  failed 1" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["tenant", "model", "batch", "kind", "day"])
def test_usage_adds_up_to_the_published_totals(by: str, nightpress: Callable[..., Ran], night: Shelf) -> None:
    (folder,) = night.store.list("batches/night-1/published")
    published = orjson.loads(night.store.read(f"batches/night-1/published/{folder}/usage.json"))
    (sums,) = nightpress("usage", "--by", by, "--format", "json").json()
    assert {name: sums[name] for name in sums if name != by} == {name: published[name] for name in sums if name != by}
    header, line = nightpress("usage", "--by", by, "--format", "csv").out.splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True)) == {
        name: str(value) for name, value in sums.items()
    }


def test_usage_as_a_table_fits_80_columns_and_ends_with_the_total(nightpress: Callable[..., Ran], night: Shelf) -> None:
    night.accept("another-" + "x" * 60, 1)
    night.write("another-" + "x" * 60, [night.completed(0)])
    night.publish("another-" + "x" * 60)
    ran = nightpress("usage")
    assert max(map(len, ran.out.splitlines())) <= 80
    total = next(line for line in ran.out.splitlines() if line.strip().startswith("total"))
    assert total.split()[1] == "3"
    ran = nightpress("usage", "--until", "2026-11-01")
    assert (ran.status, ran.out) == (0, "")
    assert "nothing was published then" in ran.err


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(["usage", "--format", "csv"], ["night-1,", "night-3,"], id="usage"),
        pytest.param(["usage"], ["night-1", "night-3", "total"], id="usage as a table"),
        pytest.param(["status"], ["night-1  published", "night-3  published", "night-4  open"], id="status"),
        pytest.param(["sweep", "--older-than", "1h"], ["night-1\n", "night-3\n"], id="sweep"),
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
    assert "is damaged. Restore it from a backup" in last
    assert shelf.store.exists("batches/night-2/input/stub.jsonl")


def test_show_tells_what_is_there_of_a_row_whose_request_is_damaged(
    nightpress: Callable[..., Ran], night: Shelf
) -> None:
    (path,) = Path(night.store.url).glob("batches/night-1/input/stub.jsonl")
    path.write_bytes(path.read_bytes().replace(b"Row 0", b"Raw 0").replace(b'{"row":2', b'{row":2'))
    for row in (0, 2):
        assert nightpress("show", "night-1", str(row), "--json").json()["request"] is None
    assert nightpress("show", "night-1", "0").status == 0
    assert nightpress("show", "night-1", "3", "--json").json()["request"]["request"] == {"prompt": "Row 3"}


def test_models_are_listed(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("models", "list")
    assert "smollm2-135m  (the default)" in ran.out.splitlines()
    assert {row["model"]: row["lane"] for row in nightpress("models", "list", "--json").rows()}["stub"] == "stub"


def test_doctor_ends_with_status_3_when_something_is_missing(
    nightpress: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def ping(self) -> None:
            raise QueueUnavailable("Redis at localhost:1 does not answer")

    monkeypatch.setattr("jobs.operations.doctor.entry_points", lambda group: [])
    ran = nightpress("doctor", given_queue=Silent())
    assert ran.status == 3
    assert "FAIL  redis: Redis at localhost:1 does not answer" in ran.out
    assert "      -> start the server" in ran.out
    ran = nightpress("doctor", "--json")
    assert ran.status == 0, "no queue at all is only a hint"
    assert {row["name"]: row["ok"] for row in ran.rows()} == {"python": True, "redis": False, "storage": True}


# Making batches.

GOOD = '{"kind": "chat", "prompt": "Hello", "model": "stub"}\n'
BAD = '{"kind": "chat"}\n'


def test_enqueue_prints_the_id_and_nothing_else(nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD + "not json\n" + GOOD)
    ran = nightpress("enqueue", "night.jsonl")
    assert ran.status == 0
    (batch_id,) = ran.out.splitlines()
    assert batch_id.startswith("night-")
    assert ran.err.startswith("3 rows, 1 refused\n  line 2: not_json: ")
    (one,) = nightpress("status", batch_id, "--json").json()["batches"]
    assert (one["id"], one["rows"], one["failed"], one["waiting"]) == (batch_id, 3, 1, 2)
    assert nightpress("show", batch_id, "2", "--json").json()["request"]["line"] == 3


def test_enqueue_takes_options_for_rows_that_do_not_say_it_themselves(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text('{"topic": "Tea"}\n{"topic": "Ink"}\n')
    args = (
        "--kind article --model stub --set language=fr --tenant acme --priority 9 --name tea --deadline +8h --limit 1"
    )
    ran = nightpress("enqueue", "night.jsonl", *args.split())
    batch = orjson.loads(shelf.store.read(f"batches/{ran.out.strip()}/batch.json"))
    assert (batch["name"], batch["tenant"], batch["rows"], batch["deadline"]) == (
        "tea",
        "acme",
        1,
        "2026-11-24T06:00:00Z",
    )
    request = nightpress("show", "tea", "0", "--json").json()["request"]
    assert (request["kind"], request["request"]["language"], request["priority"]) == ("article", "fr", 9)


def test_enqueue_reads_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from jobs.commands.cli import main; sys.exit(main())", "enqueue", "-"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=GOOD * 2,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == "2 rows, 0 refused\n"
    assert (tmp_path / ".nightpress/store/batches" / done.stdout.strip() / "batch.json").exists()


def test_a_run_key_makes_the_same_rows_one_batch_and_again_another(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD)
    first = nightpress("enqueue", "night.jsonl", "--run-key", "monday")
    second = nightpress("enqueue", "night.jsonl", "--run-key", "monday")
    assert (second.status, second.out) == (0, first.out)
    assert "is there already, from the same rows and run key, and is open" in second.err
    assert nightpress("enqueue", "night.jsonl", "--run-key", "monday", "--again").out != first.out
    assert nightpress("enqueue", "night.jsonl").out != nightpress("enqueue", "night.jsonl").out


def test_strict_refuses_the_whole_file_and_names_every_bad_line(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD + BAD + GOOD + "[]\n")
    ran = nightpress("enqueue", "night.jsonl", "--strict")
    assert (ran.status, ran.out) == (2, "")
    head, *lines = ran.err.splitlines()
    assert head == "nightpress: 2 bad lines, nothing was accepted:"
    assert [line.split(":")[0] for line in lines] == ["line 2", "line 4"]
    assert shelf.store.list("batches") == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["none.jsonl"], "cannot read none.jsonl: No such file", id="a file that is not there"),
        pytest.param(["empty.jsonl"], "holds no rows", id="an empty file"),
        pytest.param(["good.jsonl", "--set", "language"], "FIELD=VALUE", id="a field without a value"),
        pytest.param(["good.jsonl", "--priority", "10"], "--priority", id="a priority out of range"),
        pytest.param(["good.jsonl", "--deadline", "late"], "not a time", id="a deadline that is none"),
    ],
)
def test_what_cannot_be_enqueued_is_a_wrong_request(
    args: Sequence[str], said: str, nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "good.jsonl").write_text(GOOD)
    ran = nightpress("enqueue", *args)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert shelf.store.list("batches") == []


# With a queue.


def test_cancel_takes_what_waits_off_the_queue(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept(rows=3)
    rows = [FeedRow(row, b"{}", cost=1, priority=4, tenant="default") for row in range(3)]
    queue.feed("stub", "night-1", 1, 0, 1, True, rows)
    ran = nightpress("cancel", "night-1", given_queue=queue)
    assert (ran.status, ran.out) == (0, "")
    assert "3 waiting rows were taken off the queue" in ran.err
    assert queue.snapshot("stub").ready == 0
    assert queue.snapshot("stub").batches["night-1"].closed, "so that its leased rows are stopped too"
    assert nightpress("status", "--json", given_queue=queue).json()["batches"][0]["state"] == "cancelling"


def test_cancel_writes_the_marker_before_it_tells_the_queue(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    """Else a feeder that comes in between would put back what was taken off."""
    closed: list[bool] = []

    class Watched(RedisQueue):
        def drop(self, *args: Any, **options: Any) -> int:
            closed.append(shelf.store.exists("batches/night-1/closed-1.json"))
            return super().drop(*args, **options)

    shelf.accept(rows=3)
    assert nightpress("cancel", "night-1", given_queue=Watched(fakeredis.FakeRedis())).status == 0
    assert closed == [True]


def test_cancel_holds_also_when_the_queue_is_away(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    shelf.accept(rows=3)
    ran = nightpress("cancel", "night-1", given_queue=RedisQueue(fakeredis.FakeRedis(server=server)))
    assert ran.status == 0
    assert "the queue learns of it later" in ran.err
    assert shelf.store.exists("batches/night-1/closed-1.json")


def test_a_lane_is_paused_and_goes_on(nightpress: Callable[..., Ran]) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    assert nightpress("pause", "stub", given_queue=queue).status == 0
    assert queue.snapshot("stub").paused
    assert nightpress("resume", "stub", given_queue=queue).status == 0
    assert not queue.snapshot("stub").paused
    ran = nightpress("pause", "stbu", given_queue=queue)
    assert ran.status == 2
    assert "no lane 'stbu': did you mean stub?" in ran.err


def test_a_lane_goes_on_although_a_batch_begins_with_its_name(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept("stub-1a")
    queue.pause("stub")
    ran = nightpress("resume", "stub", given_queue=queue)
    assert (ran.status, queue.snapshot("stub").paused) == (0, False), ran.err


def test_status_as_json_shows_the_workers(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept(rows=1)
    queue.claim("stub", "claim", 1, 60_000, WorkerRecord("w-stub-0", 4711, "node-1", "stub", 0))
    ran = nightpress("status", "--json", given_queue=queue)
    assert ran.err == ""
    assert ran.json()["workers"] == [
        {"worker": "w-stub-0", "pid": 4711, "node": "node-1", "lane": "stub", "running": 0, "slots": 0}
    ]
    assert "w-stub-0  0 in hand  lane stub  pid 4711 on node-1" in nightpress("status", given_queue=queue).out
