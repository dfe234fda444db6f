"""Shows `wait` of jobs/commands/status.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from jobs.batches.rounds import pause
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_wait_ends_with_the_outcomes_of_the_rows(nightpress: Callable[..., Ran], night: Shelf) -> None:
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


@pytest.mark.parametrize(
    ("verdicts", "args", "setting", "status"),
    [
        pytest.param(("fit", "fit"), [], None, 0, id="all fit"),
        pytest.param(("fit", None), [], None, 0, id="one was not checked"),
        pytest.param(("fit", "review"), [], None, 1, id="one for review"),
        pytest.param(("fit", "review"), ["--accept-review"], None, 0, id="one for review, accepted"),
        pytest.param(("fit", "review"), [], "true", 0, id="one for review, accepted by the settings"),
        pytest.param(("fit", "failed"), ["--accept-review"], "true", 1, id="one failed"),
        pytest.param(("review", "failed"), ["--accept-review"], None, 1, id="one failed beside one for review"),
    ],
)
def test_wait_ends_well_only_if_all_rows_can_be_published(
    nightpress: Callable[..., Ran],
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    verdicts: tuple[str | None, ...],
    args: list[str],
    setting: str | None,
    status: int,
) -> None:
    if setting is not None:
        monkeypatch.setenv("NIGHTPRESS_ACCEPT_REVIEW", setting)
    shelf.accept(rows=2)
    made = [
        shelf.failed(row) if verdict == "failed" else shelf.completed(row, verdict=verdict)
        for row, verdict in enumerate(verdicts)
    ]
    shelf.write("night-1", made)
    ran = nightpress("wait", "night-1", *args)
    assert (ran.status, ran.out) == (status, "")
    named = {verdict: verdicts.count(verdict) for verdict in ("fit", "review") if verdict in verdicts}
    words = ", ".join(f"{rows} {'to review' if name == 'review' else name}" for name, rows in named.items())
    assert f"{len(verdicts) - verdicts.count('failed')} completed ({words})" in ran.err
