"""Shows jobs/commands/views/status.py: every line is whole, has a known shape, and fits the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.commands.views.batch import batch_lines, duration_in_words, progress_line
from jobs.commands.views.fitting import fitted
from jobs.commands.views.status import detail, lines, screen
from jobs.lanes.protocol import WorkerRecord
from jobs.operations.status import BatchStatus, Status
from jobs.usage import Usage

NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
RUNNING = BatchStatus(
    id="night-1",
    name="night",
    tenant="default",
    state="running",
    round=2,
    rows=2_000,
    completed=1_210,
    failed=10,
    cancelled=0,
    expired=0,
    ready=500,
    delayed=3,
    leased=32,
    waiting=245,
    usage=Usage(301_222, 0, 120_333, 10**12, 13_888_889, 7_825_540_000),
    wasted=Usage(),
    currency="USD",
    created_at=NOW,
    rows_per_s=12.34,
    tokens_per_s=1_540.4,
    expected_end=NOW + timedelta(seconds=63),
)


LARGE = replace(RUNNING, id="night-2", rows=3_256_950_000, completed=1_628_475_000, leased=1_000_000, ready=9_000_000)


def lines_of(one: BatchStatus) -> list[str]:
    """The lines of a batch on a wide terminal."""
    return [part for line in batch_lines(one, NOW) for part in fitted(line, 10_000)]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(-3, "0 s", id="never less than nothing"),
        pytest.param(8.4, "8 s", id="seconds"),
        pytest.param(59.6, "1 min 0 s", id="rounded before it is split"),
        pytest.param(3_599, "59 min 59 s", id="minutes"),
        pytest.param(11_100, "3 h 5 min", id="hours"),
        pytest.param(100_000, "1 d 3 h", id="days"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


def test_a_running_batch_says_how_far_how_fast_when_and_what_it_cost() -> None:
    *shown_lines, rates, tokens, cost = lines_of(RUNNING)
    assert shown_lines == [
        "night-1  running, round 2",
        "  [##################............]  61%  1,220 of 2,000 rows",
        "  completed 1,210  failed 10  leased 32  ready 500  delayed 3  waiting 245",
    ]
    assert rates.startswith("  12.3 rows/s  1,540 tokens/s  expected end 20")
    assert rates.endswith("(in 1 min 3 s)")
    assert tokens == "  tokens: 301,222 prompt, 120,333 completion"
    assert cost == "  cost: 0.013889 USD of devices, 7.825540 USD charged, so far"


@pytest.mark.parametrize(
    ("late", "shown_lines"),
    [
        pytest.param(None, [], id="nobody looked"),
        pytest.param(Usage(), [], id="nothing"),
        pytest.param(
            Usage(completion_tokens=1_200, device_ns=1, device_cost=13_889_000),
            ["  late: 1,200 completion tokens, 0.013889 USD of devices, ended after that"],
            id="some",
        ),
    ],
)
def test_late_usage_has_a_line_of_its_own(late: Usage | None, shown_lines: list[str]) -> None:
    shown = lines_of(replace(RUNNING, state="published", published_at=NOW, late=late))
    assert [line for line in shown if "late" in line] == shown_lines


def test_one_line_for_a_log() -> None:
    line = "night-1 running: 1,220 of 2,000 rows, 10 failed, 12.3 rows/s, 1,540 tokens/s, 1 min 3 s left"
    assert progress_line(RUNNING, NOW) == line


@pytest.mark.parametrize(
    ("running", "slots", "busy"),
    [
        pytest.param(2, 0, "2 in hand", id="of an older release"),
        pytest.param(0, 8, "[..........] 0 in hand, 8 slots", id="idle"),
        pytest.param(3, 8, "[###.......] 3 in hand, 8 slots", id="some are in use"),
        pytest.param(80, 64, "[##########] 80 in hand, 64 slots", id="with what was claimed ahead"),
    ],
)
def test_workers_are_named_after_the_batches_with_a_bar_each(running: int, slots: int, busy: str) -> None:
    workers = [WorkerRecord("w-stub-0", 4711, "node-1", "stub", running, slots)]
    assert list(lines(Status([], workers), NOW)) == ["1 worker", f"  w-stub-0  {busy}  lane stub  pid 4711 on node-1"]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        pytest.param("", "stub is paused; to go on: nightpress resume stub", id="by an operator"),
        pytest.param("workers died", "stub is paused: workers died; to go on: nightpress resume stub", id="by itself"),
    ],
)
def test_a_paused_lane_is_named_with_the_way_to_go_on(reason: str, shown: str) -> None:
    assert list(lines(Status([], [], paused={"stub": reason}), NOW)) == [shown]


@pytest.mark.parametrize("width", [30, 41, 60, 80, 200])
@pytest.mark.parametrize("made", [lines, detail])
def test_every_line_fits_the_terminal_and_loses_nothing(made: Callable[..., Sequence[str]], width: int) -> None:
    """A word that is too wide stays whole, so that it can be copied."""
    workers = [WorkerRecord("w" * 90, 4711, "node-1", "stub", 2)] * 2
    batches = [LARGE, replace(RUNNING, id="n" * 100)]
    whole = made(Status(batches, workers), NOW, width=10_000)
    found = made(Status(batches, workers), NOW, width=width)
    words = [word for line in found for word in line.split()]
    narrow = [line for line in found if not {"w" * 90, "n" * 100} & set(line.split())]
    assert max(map(len, narrow)) <= max(width, 47), "a command stands in one line, so that it can be copied"
    assert {word for line in whole for word in line.split() if word[0] != "-"} - {"batch"} <= set(words)


def test_a_list_has_a_line_for_each_batch_and_the_failures_by_code() -> None:
    published = replace(
        RUNNING,
        id="night-0",
        state="published",
        round=1,
        codes={"length": 2, "not_json": 8},
        refused=8,
        published_at=NOW,
        delivered=False,
        rows_per_s=None,
        expected_end=None,
    )
    paused = replace(RUNNING, state="paused", paused_reason="all fail", codes={"length": 1}, expected_end=None)
    assert list(lines(Status([RUNNING, paused, published], []), NOW)) == [
        "batch    state         rows  done  failed  rows/s  end",
        "-------------------------------------------------------------------",
        "night-1  running (2)  2,000   61%      10    12.3  in 1 min 3 s",
        "night-1  paused (2)   2,000   61%      10    12.3",
        f"night-0  published    1,992   61%      10          {NOW.astimezone():%Y-%m-%d %H:%M}",
        "",
        "night-1 is paused: all fail; to go on: nightpress resume night-1",
        "night-0: its outputs are not at its output URL yet: a fleet takes them there, or",
        "  nightpress publish",
        "failed: 8 not_json, 3 length; see: nightpress failed list BATCH",
    ]


def test_refused_rows_are_no_progress() -> None:
    """Only the rows that intake refused have an outcome in this batch."""
    new = replace(RUNNING, rows=14, refused=4, completed=0, failed=4, codes={"not_json": 4}, round=1)
    shown = lines_of(new)
    assert shown[1:4] == [
        "  [..............................]   0%  0 of 10 rows, 4 more refused",
        "  completed 0  failed 4  leased 32  ready 500  delayed 3  waiting 245",
        "  failed: 4 not_json; see: nightpress failed list night-1",
    ]
    assert progress_line(new, NOW).startswith("night-1 running: 0 of 10 rows, 4 failed")
    assert "0%" in lines(Status([new], []), NOW)[2]


@pytest.mark.parametrize(
    ("worker", "shown"),
    [
        pytest.param({"running": 3, "silent_s": 9}, "3 in hand", id="a late beat"),
        pytest.param({"running": 3, "silent_s": 12}, "not heard of for 12 s", id="it has ended, perhaps"),
        pytest.param({"running": 0, "loading_s": 75}, "loading its model for 75 s", id="it loads"),
        pytest.param(
            {"running": 0, "loading_s": 75, "silent_s": 12}, "not heard of for 12 s", id="it died as it loaded"
        ),
    ],
)
def test_a_worker_that_does_no_rows_says_so(worker: dict[str, Any], shown: str) -> None:
    found = lines(Status([], [WorkerRecord("w", 4711, "node-1", "stub", **worker)]), NOW)
    assert list(found) == ["1 worker", f"  w  {shown}  lane stub  pid 4711 on node-1"]


@pytest.mark.parametrize("height", [6, 12, 23, 50])
@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("workers", [0, 1, 5, 300])
def test_a_screen_shows_open_batches_and_workers_first(height: int, width: int, workers: int) -> None:
    done = [replace(RUNNING, id=f"done-{n}", state="published", published_at=NOW) for n in range(40)]
    fleet = [WorkerRecord(f"w-{n}", n, "node-1", f"lane-{n % 2}", 1, 2) for n in range(workers)]
    found = screen(Status([*done, replace(RUNNING, id="new-1")], fleet), NOW, width, height)
    assert len(found) <= height
    text = "\n".join(found)
    assert "new-1" in text or "41 batches" in text
    assert "done-39" not in text or height == 50
    assert f"{workers:,} worker" in text or not workers
    if width == 80 and height >= 12:
        assert text.index("new-1") < text.find("done-0") % 10**6
        assert ("lane lane-0: 150 workers, 150 in hand, 300 slots" in text) == (workers == 300)


def test_a_screen_of_one_batch_keeps_its_workers() -> None:
    fleet = [WorkerRecord(f"w-{n}", n, "node-1", "stub", 1, 2) for n in range(100)]
    found = screen(Status([RUNNING], fleet), NOW, 80, 23, is_detail=True)
    assert found[0] == "night-1  running, round 2"
    assert found[-1] == "  lane stub: 100 workers, 100 in hand, 200 slots"
