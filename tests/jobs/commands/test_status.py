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
    assert max(len(line) for line in ran.out.splitlines() if line != long_id) <= 80
    assert long_id in ran.out.splitlines(), "it can be copied"
    assert "failed: 1 empty_output, 1 not_json; see: nightpress failed list BATCH" in ran.out
    one = nightpress("status", "night-1").out
    assert "completed 2  failed 2\n  failed: 1 empty_output, 1 not_json; see: nightpress failed list night-1\n" in one
    assert "3 of 3 rows, 1 more refused" in one


def test_all_batches_are_shown_if_asked_for(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    for n in range(8):
        shelf.accept(f"night-{n}", 1, tenants=["shop" if n % 2 else "press"])
        shelf.write(f"night-{n}", [shelf.completed(0)])
        shelf.publish(f"night-{n}")
        shelf.pass_s(3_600)

    def shown(*words: str) -> list[str]:
        return [one["id"] for one in nightpress("status", *words, "--json").json()["batches"]]

    assert shown() == [f"night-{n}" for n in (7, 6, 5, 4, 3)]
    assert "and 3 more that are published: nightpress status --all" in nightpress("status").err
    assert len(shown("--all")) == 8
    assert "more that are published" not in nightpress("status", "--all").err
    assert shown("--tenant", "shop") == ["night-7", "night-5", "night-3", "night-1"]
    assert shown("--since", "150min") == ["night-7", "night-6"]
    assert len(shown("--since", "2026-11-01")) == 8
    assert shown("--all", "--tenant", "press", "--since", "4h") == ["night-6", "night-4"]
    assert shown("--tenant", "nobody") == []
    assert "no such batches" in nightpress("status", "--tenant", "nobody").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["night-1", "--all"], "leave out BATCH", id="one and all"),
        pytest.param(["night-1", "--since", "1h"], "leave out BATCH", id="one and a time"),
        pytest.param(["--since", "soon"], "'soon' is not a time", id="no time"),
        pytest.param(["--since", "+8h"], "write 8h for that long ago", id="a time to come"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(
    nightpress: Callable[..., Ran], night: Shelf, words: list[str], message: str
) -> None:
    ran = nightpress("status", *words)
    assert ran.status == 2
    assert message in ran.err


def test_a_watch_shows_batches_that_are_made_meanwhile(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept("night-1", rows=1)
    looks: list[int] = []

    def work(seconds: float) -> None:
        shelf.pass_s(seconds)
        looks.append(len(looks))
        if len(looks) == 1:
            shelf.accept("night-2", rows=1, tenants=["shop"])
            shelf.accept("night-3", rows=1, tenants=["other"])
            for batch_id in ("night-2", "night-3"):
                shelf.store.create(BatchPaths(batch_id).open_hint, b"")
        batch_id = f"night-{len(looks)}"
        shelf.write(batch_id, [shelf.completed(0)])
        shelf.publish(batch_id)

    ran = nightpress("status", "--watch", sleep=work)
    assert ran.status == 0
    for n in (1, 2, 3):
        assert f"night-{n}  published" in ran.out
    assert len(looks) == 3


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
    assert "night-1  open      2    0%       0" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K"), "and cleared at the end"
    assert "failed: 1 empty_output" in capsys.readouterr().out


def test_status_as_json_shows_the_workers(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept(rows=1)
    queue.claim("stub", "claim", 1, 60_000, WorkerRecord("w-stub-0", 4711, "node-1", "stub", 0, begun=1, began_at=1.5))
    ran = nightpress("status", "--json", given_queue=queue)
    assert ran.err == ""
    assert ran.json()["workers"] == [
        {
            "worker": "w-stub-0",
            "pid": 4711,
            "node": "node-1",
            "lane": "stub",
            "running": 0,
            "slots": 0,
            "loading_s": None,
            "silent_s": 0,
            "begun": 1,
            "began_at": 1.5,
            "device": "",
            "load_s": 0.0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "device_ns": 0,
        }
    ]
    assert "w-stub-0  0 in hand  lane stub  pid 4711 on node-1" in nightpress("status", given_queue=queue).out


def test_status_has_the_verdicts(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.completed(1, verdict="review")])
    for verdicts in ({"fit": 1, "review": 1}, {"fit": 1, "review": 2}):
        (one,) = nightpress("status", "--json").json()["batches"]
        assert one["verdicts"] == verdicts
        shown = f"verdicts: 1 fit, {verdicts['review']} to review; see: nightpress results night-1 --only review\n"
        assert shown in nightpress("status", "night-1").out
        rows = "1 row" if verdicts["review"] == 1 else "2 rows"
        assert f"{rows} to review; see: nightpress results BATCH --only review\n" in nightpress("status").out
        if verdicts["review"] == 1:
            shelf.write("night-1", [shelf.completed(2, verdict="review")])
            shelf.publish()


@pytest.mark.parametrize(("verdict", "shown"), [("fit", "  verdicts: 1 fit\n"), (None, "")])
def test_status_has_no_line_for_a_review_that_nobody_has_to_do(
    nightpress: Callable[..., Ran], shelf: Shelf, verdict: str | None, shown: str
) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0, verdict=verdict)])
    shelf.publish()
    out = nightpress("status", "night-1").out
    assert (shown in out, "verdicts" in out, "review" in out + nightpress("status").out) == (True, bool(shown), False)
