"""Tests engines that kill their process, run out of memory or hang, and batches that are cancelled at any stage.

Workers are processes on a real server, and dead ones are replaced, as a fleet would do. Only the row at fault may fail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from jobs.batches.open_batches import OpenBatches
from jobs.lanes.feed import Feeder
from tests.faults.premises import EVEN, LANE, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(500)]
GUILTY = 7
LEASE_S = 3.0
"""The length of a lease, in seconds. If a worker waits longer than this for a core, it loses rows that are not at fault. So the
limits of time below are longer than a lease.
"""


def guilty(fault: str) -> dict[str, Any]:
    return {"faults": {f"Say {GUILTY}.": fault}, "slots": 16, "step_s": 0.002}


@pytest.mark.parametrize(
    ("fault", "more", "event", "survives"),
    [
        pytest.param("segfault", {}, "", False, id="a segfault"),
        pytest.param("out_of_memory", {}, "worker.failed", False, id="the engine out of memory"),
        pytest.param("stall", {"step_limit_s": 5.0, "exit_limit_s": 0.5}, "worker.hung", False, id="a step that hangs"),
        pytest.param("hang", {"running_limit_s": 10.0}, "lease.abandoned", True, id="a sequence that hangs"),
    ],
)
def test_one_guilty_row_of_256_fails_alone(
    make_night: Callable[..., Premises], fault: str, more: dict[str, Any], event: str, survives: bool
) -> None:
    """The row at fault fails, and all others complete. If only its sequence hangs, neither the heartbeat nor any other row
    stops.
    """
    night = make_night(stub=guilty(fault), more={"lease_s": LEASE_S, **more})
    batch_id = night.submit(256, max_tokens=40)
    assert night.finish(batch_id, workers=1, timeout_s=400) == {"completed": 255, "failed": 1}
    assert night.codes(batch_id) == {GUILTY: "crashed_worker"}
    assert night.logged(event) or not event
    deaths = sum(process.poll() not in (None,) for process in night.workers)
    assert (deaths == 0) is survives
    assert deaths <= 10
    crashes = [line for line in night.lines(batch_id) if line.status == "crashed" and line.row == GUILTY]
    solo = sum(line.solo or False for line in crashes)
    assert 1 <= solo <= 2, (
        "the row must have run alone, at most twice; a worker that dies at once cannot record the crash before"
    )


def test_the_lane_pauses_when_every_row_kills_its_worker(make_night: Callable[..., Premises]) -> None:
    """No row is buried. After `resume` with a sound model all rows are done."""
    night = make_night(stub={"faults": {"Say": "segfault"}, "slots": 8})
    batch_id = night.submit(40)

    def paused() -> bool:
        night.replace_the_dead()
        return night.lane().paused

    night.until(paused, 200, "the lane to pause itself")
    deaths = sum(process.poll() is not None for process in night.workers)
    assert deaths <= 10, (
        "five deaths pause the lane; a death counts only once its lease has run out, and others die meanwhile"
    )
    night.replace_the_dead()
    night.wait_for_log("lane.paused")
    status = night.command("status")
    assert "the model or the node is at fault" in status.stdout + status.stderr
    assert [line for line in night.lines(batch_id) if line.final] == [], "no row was buried"
    for process in night.workers:
        process.kill()
        process.wait()
    night.configure(stub={})
    assert night.command("resume", LANE).returncode == 0
    assert night.finish(batch_id, workers=1) == {"completed": 40}


@dataclass(frozen=True)
class Moment:
    """The stage at which a batch is cancelled. `bring` brings the batch to this stage. In the end, `least` to `most` of its
    rows are completed.
    """

    stub: dict[str, Any]
    bring: Callable[[Premises, str], None]
    least: int = 0
    most: int = 0
    lease_s: float = 600.0


ROWS = 16
PUBLISHED_S = 120.0
"""The batch must be published within this many seconds: far less than a lease, and far more than a busy machine needs."""


def waiting(night: Premises, batch_id: str) -> None:
    batches = OpenBatches(night.store, batch_scan_s=0.0)
    batches.scan()
    assert Feeder(night.store, night.queue, batches, night.settings).top_up(LANE) == ROWS


def leased(night: Premises, batch_id: str) -> None:
    night.work()
    night.leased(ROWS)


def flushed(night: Premises, batch_id: str) -> None:
    """Kill Redis, so that rows whose outcomes are written cannot be settled."""
    leased(night, batch_id)
    night.server.kill()
    night.until(lambda: night.lines(batch_id), 90, "a segment")


def settled(night: Premises, batch_id: str) -> None:
    night.work()
    night.at_least(batch_id, ROWS)
    night.until(lambda: night.live(batch_id) == 0, 90, "all to be settled")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Moment({}, waiting), id="ready", marks=pytest.mark.smoke),
        pytest.param(Moment({"faults": {"Tell": "hang"}}, leased), id="leased", marks=pytest.mark.smoke),
        pytest.param(Moment({"step_s": 0.1}, flushed, least=1, most=ROWS - 1, lease_s=1.0), id="flushed"),
        pytest.param(Moment({}, settled, least=ROWS, most=ROWS), id="settled"),
    ],
)
def test_cancelled_while_its_rows_are(make_night: Callable[..., Premises], moment: Moment) -> None:
    """Rows with an outcome keep it; the others are published as cancelled, without waiting for any lease."""
    night = make_night(stub=moment.stub, more={"lease_s": moment.lease_s})
    batch_id = night.submit(ROWS, max_tokens=60, **EVEN)
    moment.bring(night, batch_id)
    there = night.outcomes(batch_id)
    cancelled = night.command("cancel", batch_id)
    assert cancelled.returncode == 0, cancelled.stderr
    assert "Traceback" not in cancelled.stderr
    if moment.bring is flushed:
        assert "the queue learns of it later" in cancelled.stderr
        night.server.start()
    counts = night.finish(batch_id, timeout_s=PUBLISHED_S)
    assert counts.get("completed", 0) + counts.get("cancelled", 0) == ROWS
    assert max(there, moment.least) <= counts.get("completed", 0) <= moment.most
