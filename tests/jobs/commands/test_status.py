"""Shows `status` of jobs/commands/status.py."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from rich.console import Console

from jobs.batches.batch import BatchPaths
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.lanes.protocol import WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_status_fits_80_columns_and_has_no_colour(nightpress: Callable[..., Ran], night: Shelf) -> None:
    long_id = "a-very-long-name-that-somebody-gave-to-a-batch-0123456789" + "-and-more" * 5
    night.accept(long_id, 1_000)
    ran = nightpress("status")
    assert "from storage alone" in ran.err
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert long_id in "".join(ran.out.split())
    assert "completed 2  failed 2" in ran.out


def test_status_without_batches_says_what_to_do(nightpress: Callable[..., Ran]) -> None:
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


def test_a_watch_goes_on_when_another_batch_is_damaged(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
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
    assert ran.err.splitlines()[-1].endswith(". Restore it from a backup.")


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


def test_status_as_json_shows_the_workers(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept(rows=1)
    queue.claim("stub", "claim", 1, 60_000, WorkerRecord("w-stub-0", 4711, "node-1", "stub", 0, 0, 1, 1.5))
    ran = nightpress("status", "--json", given_queue=queue)
    assert ran.err == ""
    shown = {"worker": "w-stub-0", "pid": 4711, "node": "node-1", "lane": "stub", "running": 0, "slots": 0}
    assert ran.json()["workers"] == [{**shown, "begun": 1, "began_at": 1.5}]
    assert "w-stub-0  0 in hand  lane stub  pid 4711 on node-1" in nightpress("status", given_queue=queue).out
