"""Engines that kill their process, run out of memory or hang, and rows that are cancelled wherever they are.

Worker processes on a real server. Who dies is replaced, as a fleet would do. A row that is at fault fails alone.
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
"""Whoever waits so long for a core loses a row that is not at fault. The limits below are longer still."""


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
    """With a sequence that hangs the heart beats on, and so does every other row."""
    night = make_night(stub=guilty(fault), more={"lease_s": LEASE_S, **more})
    batch_id = night.submit(256, max_tokens=40)
    assert night.finish(batch_id, workers=1, timeout_s=400) == {"completed": 255, "failed": 1}
    assert night.codes(batch_id) == {GUILTY: "crashed_worker"}
    assert night.said(event) or not event
    deaths = sum(process.poll() not in (None,) for process in night.workers)
    assert (deaths == 0) is survives
    assert deaths <= 10
    crashes = [line for line in night.lines(batch_id) if line.status == "crashed" and line.row == GUILTY]
    solo = sum(line.solo or False for line in crashes)
    assert 1 <= solo <= 2, "it stood alone; a worker that dies at once does not get to write of the one before"


def test_when_every_row_kills_its_worker_the_lane_pauses_and_says_so(make_night: Callable[..., Premises]) -> None:
    """Nothing is buried. With a sound model and `resume` all of it is done."""
    night = make_night(stub={"faults": {"Say": "segfault"}, "slots": 8})
    batch_id = night.submit(40)

    def paused() -> bool:
        night.replace_the_dead()
        return night.lane().paused

    night.until(paused, 200, "the lane to pause itself")
    deaths = sum(process.poll() is not None for process in night.workers)
    assert deaths <= 10, "five pause it; one whose lease has not run out is not counted yet, and another dies meanwhile"
    night.replace_the_dead()
    night.hears("lane.paused")
    said = night.command("status")
    assert "the model or the node is at fault" in said.stdout + said.stderr
    assert [line for line in night.lines(batch_id) if line.final] == [], "nothing was buried"
    for process in night.workers:
        process.kill()
        process.wait()
    night.configure(stub={})
    assert night.command("resume", LANE).returncode == 0
    assert night.finish(batch_id, workers=1) == {"completed": 40}


@dataclass(frozen=True)
class Moment:
    """Where the rows of a batch are when it is cancelled, and how they get there."""

    stub: dict[str, Any]
    bring: Callable[[Premises, str], None]
    least: int = 0
    most: int = 0
    lease_s: float = 600.0


ROWS = 16
PUBLISHED_S = 120.0
"""Far less than a lease, and far more than a busy machine needs."""


def waiting(night: Premises, batch_id: str) -> None:
    batches = OpenBatches(night.store, batch_scan_s=0.0)
    batches.scan()
    assert Feeder(night.store, night.queue, batches, night.settings).top_up(LANE) == ROWS


def leased(night: Premises, batch_id: str) -> None:
    night.work()
    night.leased(ROWS)


def flushed(night: Premises, batch_id: str) -> None:
    """Redis dies, so that what is written cannot be settled."""
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
    """What has an outcome keeps it; the rest is published as cancelled, without waiting for any lease."""
    night = make_night(stub=moment.stub, more={"lease_s": moment.lease_s})
    batch_id = night.submit(ROWS, max_tokens=60, **EVEN)
    moment.bring(night, batch_id)
    there = night.outcomes(batch_id)
    told = night.command("cancel", batch_id)
    assert told.returncode == 0, told.stderr
    assert "Traceback" not in told.stderr
    if moment.bring is flushed:
        assert "the queue learns of it later" in told.stderr
        night.server.start()
    counts = night.finish(batch_id, timeout_s=PUBLISHED_S)
    assert counts.get("completed", 0) + counts.get("cancelled", 0) == ROWS
    assert max(there, moment.least) <= counts.get("completed", 0) <= moment.most
