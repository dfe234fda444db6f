"""Shows jobs/commands/views/status.py: every line is whole, has a known shape, and fits the terminal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.commands.views.status import batch_lines, duration_in_words, lines, progress_line
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
    *shown_lines, rates, tokens, cost = batch_lines(RUNNING, NOW)
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
    shown = batch_lines(replace(RUNNING, state="published", published_at=NOW, late=late), NOW)
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


@pytest.mark.parametrize("width", [30, 41, 80, 200])
def test_every_line_fits_the_terminal_and_loses_nothing(width: int) -> None:
    workers = [WorkerRecord("w" * 90, 4711, "node-1", "stub", 2)] * 2
    whole = lines(Status([RUNNING], workers), NOW, width=10_000)
    fitted = lines(Status([RUNNING], workers), NOW, width=width)
    assert max(map(len, fitted)) <= width
    assert "".join("".join(fitted).split()) == "".join("".join(whole).split())
