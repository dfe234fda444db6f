"""Tests single orders of events in which the search found a fault."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.batches.rounds import close, latest_done
from tests.faults.model.moved_time import ImitatedServer
from tests.faults.model.protocol_model import LANE, SETTINGS, SweeperProcess, Worker, World, submit

TURNS = 20


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    server = ImitatedServer(monkeypatch)
    yield World(str(tmp_path / "store"), server)
    server.client.close()


def turn(worker: Worker, n: int = 8) -> None:
    worker.claim(n)
    while worker.held:
        worker.finish(0, "completed")
    worker.flush(100)


def forget_the_drop(world: World, batch: str) -> None:
    """Drop the batch from the queue. Then give the queue the data back that it had before the drop."""
    saved = world.server.save()
    world.queue.drop(LANE, batch, 1, forget=False)
    world.server.roll_back(saved)


@pytest.mark.parametrize(
    "known", [pytest.param(True, id="sweeper at work"), pytest.param(False, id="sweeper started later")]
)
@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda _world, _batch: None, id="canceller dies after its marker"),
        pytest.param(forget_the_drop, id="queue forgets the drop"),
    ],
)
def test_a_cancelled_batch_ends_although_its_rows_are_never_fed(
    world: World, happens: Callable[[World, str], Any], known: bool
) -> None:
    batch = submit(world, rows=2 * SETTINGS.window_rows)
    sweeper = SweeperProcess(world, "s")
    if known:
        sweeper.sweeper.sweep()
    worker = Worker(world, "w0")
    worker.claim(8)  # this claim feeds a window, and the other rows of the input wait
    close(world.store, batch, "cancelled", clock=world.now)
    happens(world, batch)
    later = Worker(world, "w1")  # at its start, this worker reads the marker that closes the batch
    for _ in range(TURNS):
        turn(later)
        world.let_leases_run_out()
        if sweeper.sweeper.sweep() == 0:
            break
    done = latest_done(world.store, batch)
    assert done is not None
    assert done.counts["cancelled"] + done.counts["completed"] == 2 * SETTINGS.window_rows
    assert verify(world.store, batch) == []
