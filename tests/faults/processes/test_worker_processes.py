"""Tests workers as processes on a real server, with one fault a test: a kill, a pause, a server that dies or forgets.

Every test ends the same way: the rows that are left are finished, the batch is published, and I1 to I6 hold.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close
from jobs.lanes.feed import Feeder
from jobs.lanes.protocol import Settlement, WorkerRecord
from tests.conftest import BINARIES, Server
from tests.faults.premises import LANE, MOST_ATTEMPTS, ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
on_each_server = pytest.mark.parametrize("redis_server", list(BINARIES), indirect=True)
on_each_server_and_quickly_on_one = pytest.mark.parametrize(
    "redis_server",
    [pytest.param(one, marks=[pytest.mark.smoke] if one == "valkey" else []) for one in BINARIES],
    indirect=True,
)


@pytest.fixture
def night(make_night: Callable[..., Premises], redis_server: Server) -> Premises:
    """Premises whose rows take 0.6 s each, so that some rows are left when the fault comes."""
    return make_night(redis_server, stub={"step_s": 0.01})


@pytest.mark.smoke
@on_each_server
def test_a_worker_killed_in_mid_batch(night: Premises) -> None:
    batch_id = night.submit()
    victim, _ = night.work(), night.work()
    night.at_least(batch_id, ROWS // 4)
    victim.kill()
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}


def test_the_only_worker_killed_again_and_again(night: Premises) -> None:
    batch_id = night.submit()
    for part in (1, 2, 3):
        victim = night.work()
        night.at_least(batch_id, part * ROWS // 5)
        victim.kill()
        victim.wait()
        night.at_work(batch_id)
    night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_a_worker_stopped_past_its_lease_does_no_harm_when_it_continues(night: Premises) -> None:
    batch_id = night.submit()
    sleeper = night.work()
    night.at_least(batch_id, ROWS // 5)
    sleeper.send_signal(signal.SIGSTOP)
    night.at_work(batch_id)
    night.work()
    night.until(lambda: list(night.events("job.rescued")), 120, "its rows to be taken over")
    sleeper.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": ROWS}
    assert night.log("w0").count('"event": "lease.lost"') > 0, "the worker knows that it lost its leases"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["is killed", "stands still past its leases"])
def test_rows_fail_and_are_retried_while_a_worker(make_night: Callable[..., Premises], sent: signal.Signals) -> None:
    """A row fails for good only with its last attempt. An attempt whose lease was lost does not count."""
    night = make_night(stub={"step_s": 0.01, "failure_rate": 0.6})
    batch_id = night.submit()
    victim, _ = night.work(), night.work()
    night.at_least(batch_id, ROWS // 5)
    victim.send_signal(sent)
    night.at_work(batch_id)
    night.wait_for_log("job.rescued")
    victim.send_signal(signal.SIGCONT)
    counts = night.finish(batch_id)
    assert counts["completed"] + counts["failed"] == ROWS
    ended = {line.attempt for line in night.lines(batch_id) if line.status == "failed" and line.final}
    assert ended == {MOST_ATTEMPTS}


@on_each_server
def test_the_server_killed_and_started_empty(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    night.server.kill()
    night.at_work(batch_id)
    night.server.start()
    assert night.finish(batch_id) == {"completed": ROWS}


@on_each_server_and_quickly_on_one
def test_everything_wiped_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work(), night.work()
    night.at_least(batch_id, ROWS // 2)
    night.client.flushall()
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_two_stores_on_one_server(make_night: Callable[..., Premises]) -> None:
    """A worker sees no rows of another store, whether its own store is empty or has rows."""
    ours, theirs, empty = (make_night(stub={"step_s": 0.01}) for _ in range(3))
    empty.work()
    ours.work()
    batch_ids = [night.submit() for night in (ours, theirs)]
    ours.at_least(batch_ids[0], ROWS // 4)
    assert theirs.outcomes(batch_ids[1]) == 0
    theirs.work()
    for night, batch_id in zip((ours, theirs), batch_ids, strict=True):
        assert night.finish(batch_id) == {"completed": ROWS}
    assert empty.store.list("batches") == []
    assert len(empty.client.keys("np:*:lanes")) == 2


@on_each_server
def test_scripts_flushed_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 2)
    night.client.script_flush()
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}


@on_each_server_and_quickly_on_one
def test_the_server_comes_back_as_it_was_before(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 5)
    keys: Any = night.client.keys("*")
    saved = {key: night.client.dump(key) for key in keys}
    night.at_least(batch_id, ROWS // 2)
    with night.client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in saved.items():
            if value is not None:
                pipe.restore(key, 0, value)
        pipe.execute()
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "key", ["batches", "jobs", "payload", "ready", "leased", "waits", "meta", "counts", "workers", "flights"]
)
@pytest.mark.parametrize("dies", [False, True], ids=["at half", "as a worker dies"])
def test_a_single_key_evicted(night: Premises, key: str, dies: bool) -> None:
    """The leases of a dead worker must be found, even if the key that says when they run out is gone.

    The lane has only these keys, because no row waits for a retry and no worker has died. A test below evicts the other keys.
    """
    batch_id = night.submit()
    worker = night.work()
    night.at_least(batch_id, ROWS // 4)
    if dies:
        night.leased()
        worker.kill()
        worker.wait()
    assert night.client.delete(night.key(key)) == 1
    night.at_work(batch_id)
    if dies:
        night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


GHOST = WorkerRecord("ghost", 1, "n", LANE, 0)
"""The test plays this worker before the fault."""


def in_every_state(night: Premises) -> str:
    """Submit a batch of three tenants whose jobs are in every state: ready, delayed, leased and suspects. Returns its id."""
    night.configure(more={**night.more, "rows_may_set": ["tenant"]})
    rows = [{"kind": "chat", "prompt": f"Say {n}.", "tenant": "abc"[n % 3]} for n in range(ROWS)]
    batch_id = night.submit_lines(rows)
    batches = OpenBatches(night.store)
    batches.scan()
    Feeder(night.store, night.queue, batches, night.settings).top_up(LANE)
    delayed = night.queue.claim(LANE, "ghost-1-1", 6, 60_000, GHOST).jobs
    night.queue.settle(LANE, [Settlement(job.lease, "retry", 8_000) for job in delayed])
    night.queue.claim(LANE, "ghost-2-1", 6, 8_000, GHOST)
    night.queue.claim(LANE, "ghost-3-1", 6, 1, GHOST)

    def rescued() -> bool:
        return night.queue.claim(LANE, "ghost-4-1", 0, 1_000, GHOST).leased == 6

    night.until(rescued, 60, "six leases to run out")
    lane = night.lane()
    assert (lane.suspects, lane.delayed, lane.leased, night.lane_faults()) == (6, 6, 6, [])
    return batch_id


@pytest.mark.parametrize(
    "key", ["ready", "delayed", "leased", "waits", "counts", "flights", "suspects", "crashed", "workers"]
)
def test_a_single_key_evicted_from_a_lane_with_jobs_in_every_state(
    make_night: Callable[..., Premises], key: str
) -> None:
    """The claim of the next worker mends the lane at once, so that its keys agree long before the end of the batch."""
    night = make_night(stub={"step_s": 0.02})
    batch_id = in_every_state(night)
    assert night.client.delete(night.key(key)) == 1
    night.work()
    night.until(
        lambda: any(one.worker == "w0" and one.loading_s is None for one in night.lane().workers),
        60,
        f"a claim: {night.logs()}",
    )
    assert night.lane_faults() == []
    assert night.live(batch_id) > ROWS // 2, "the lane was checked too late"
    assert night.finish(batch_id) == {"completed": ROWS}
    assert night.logged("job.rescued") <= 2 * 12, "a job whose lease did not run out must not become a suspect"


@pytest.mark.smoke
@on_each_server
def test_cancelled_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    close(night.store, batch_id, "cancelled")
    counts = night.finish(batch_id)
    assert counts["cancelled"] > 0
    assert counts["completed"] >= ROWS // 4


def test_the_store_moved_away_for_a_while(night: Premises) -> None:
    """The store is away for three leases, and the worker renews its leases meanwhile."""
    night.configure(more={"lease_s": 4.0})
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    assert night.lane().leased > 0, "from now on this process knows the id of the store"
    home = Path(night.store.url)
    home.rename(home.with_name("away"))
    night.wait_for_log("store.unavailable")
    night.outlast(3)
    assert night.lane().leased > 0, "finished rows keep their leases"
    assert not home.exists(), "an empty store was made in its place"
    home.with_name("away").rename(home)
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}
    assert {line.status for line in night.lines(batch_id)} == {"completed"}, "no lease ran out meanwhile"
    assert len(night.lines(batch_id)) == ROWS, "no row was done twice"
