"""Shows what standard_output.py, jobs/commands/cli.py and jobs/store/destinations.py do with output that cannot be written."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.commands import results
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings
from jobs.store import destinations
from tests.support.command_line import MAIN, ROOT, Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

EVERY_COMMAND = [
    "--version",
    "results --help",
    "status",
    "status --json",
    "results night-1",
    "results night-1 --format csv",
    "results night-1 --format openai",
    "show night-1 3",
    "failed list night-1",
    "usage",
    "usage --format csv",
    "settings",
    "models list",
    "preview rows.jsonl --model stub",
    "enqueue rows.jsonl --dry-run",
    "enqueue rows.jsonl",
    "sweep --older-than 0h --dry-run",
]
SOME_COMMANDS = ["--version", "status", "results night-1", "usage --format csv"]
"""Commands that print in different ways: with typer, with rich, as bytes, and with the csv module."""


@pytest.fixture
def in_this_folder(night: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The published batch, and a file of rows in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"kind": "chat", "prompt": "Tea."}\n')
    return night


def opened(name: str) -> Any:
    """Open a stream that takes nothing: of a full disk, of a pipe without a reader, or one that is closed."""
    if name == "full":
        return Path("/dev/full").open("w")
    if name == "closed":
        return None
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


@pytest.mark.parametrize(
    ("name", "reason", "line"),
    [
        *(("full", "cannot be written: No space left on device", line) for line in EVERY_COMMAND),
        *(("pipe", "was closed before everything was written", line) for line in SOME_COMMANDS),
        *(("closed", "cannot be written: Bad file descriptor", line) for line in SOME_COMMANDS),
    ],
)
def test_output_that_is_not_taken_is_one_sentence_and_status_5(
    name: str,
    reason: str,
    line: str,
    in_this_folder: Shelf,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = opened(name)
    monkeypatch.setattr(sys, "stdout", stream)
    session = Session(Settings(store_url=str(tmp_path / "store")), clock=in_this_folder.clock)
    assert main(line.split(), session) == 5
    if stream is not None:
        stream.close()
    said = capsysbinary.readouterr().err.decode().splitlines()
    assert [one for one in said if reason in one] == said[-1:]
    assert said[-1].startswith("nightpress: standard output ")


def test_the_program_itself_ends_without_a_traceback(in_this_folder: Shelf, tmp_path: Path) -> None:
    """The program runs in its own process, since Python flushes standard output once more at its exit."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", MAIN, "results", "night-1"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NIGHTPRESS_STORE_URL": str(tmp_path / "store")},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.stderr == "nightpress: standard output cannot be written: No space left on device\n"
    assert ended.returncode == 5


def test_a_batch_that_was_accepted_is_named_all_the_same(
    in_this_folder: Shelf, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("full") as full:
        monkeypatch.setattr(sys, "stdout", full)
        session = Session(Settings(store_url=str(tmp_path / "store")), clock=in_this_folder.clock)
        assert main(["enqueue", "rows.jsonl"], session) == 5
    assert b". The batch rows-" in capsysbinary.readouterr().err


@pytest.mark.parametrize("name", ["full", "closed"])
@pytest.mark.parametrize(("line", "status"), [("results night-1", 0), ("results nothing", 2), ("nonsense", 2)])
def test_messages_that_are_not_taken_change_no_status(
    name: str, line: str, status: int, in_this_folder: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = opened(name)
    monkeypatch.setattr(sys, "stderr", stream)
    session = Session(Settings(store_url=str(tmp_path / "store")), clock=in_this_folder.clock)
    assert main(line.split(), session) == status
    monkeypatch.undo()
    if stream is not None:
        with suppress(OSError):  # the rest of the buffer
            stream.close()


@pytest.mark.parametrize("form", ["jsonl", "csv", "openai", "parquet", "markdown"])
@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(errno.ENOSPC, 5, id="a full disk"),
        pytest.param(errno.EDQUOT, 5, id="a full quota"),
        pytest.param(errno.EFBIG, 5, id="a file at its limit"),
        pytest.param(errno.EACCES, 2, id="a folder that is not ours"),
    ],
)
def test_a_named_place_that_takes_no_more_is_named(
    form: str, number: int, status: int, night: Shelf, nightpress: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(number, os.strerror(number))

        def writelines(self, lines: Any) -> None:
            for line in lines:
                self.write(line)

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    monkeypatch.setattr(destinations, "_create", refuse)
    monkeypatch.setattr(results, "say_if_reopened", lambda *_: None)
    monkeypatch.setattr(night.store.__class__, "reader", lambda store, path: io.BytesIO(store.read(path)))
    monkeypatch.setattr(night.store.__class__, "read", _read_with_os)
    ran = nightpress("results", "night-1", "--format", form, "-o", "into/")
    assert ran.status == status
    (line,) = ran.err.splitlines()
    assert line.startswith("nightpress: cannot write into/")
    assert line.endswith(os.strerror(number))


def _read_with_os(store: Any, path: str) -> bytes:
    """Read a file of the store by its descriptor, since `Path.open` fails in this test."""
    try:
        number = os.open(Path(store.url) / path, os.O_RDONLY)
    except FileNotFoundError:
        raise KeyError(path) from None
    with os.fdopen(number, "rb") as file:
        return file.read()


def test_a_scratch_folder_that_is_full_is_status_5(
    night: Shelf, nightpress: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch/x")

    monkeypatch.setattr("jobs.operations.results.results", fail)
    ran = nightpress("results", "night-1")
    assert (ran.status, ran.err) == (5, "nightpress: cannot write /scratch/x: No space left on device\n")


def test_a_device_is_written_and_not_replaced(tmp_path: Path) -> None:
    """Otherwise, as root, a file would replace /dev/stdout or /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with destinations.write_destination(str(pipe), {}) as target:
        target.write(b"row")
    assert os.read(reading, 10) == b"row"
    os.close(reading)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
