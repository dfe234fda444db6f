"""Tests wrong clocks: Redis' clock, which jumps while rows are in hand, and a worker's clock.

Leases and delays are kept in Redis' time, so a worker's clock decides nothing. A jump of Redis' clock only repeats work.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from jobs.lanes.protocol import Settlement, WorkerRecord
from tests.conftest import Server
from tests.faults.network.wrong_clock import Clock
from tests.faults.premises import LANE, ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
HOUR_S = 3600
TEST = WorkerRecord("test", 1, "n", LANE, 0)
"""The test plays a worker that sends this record."""


@pytest.fixture
def moved_night(make_night: Callable[..., Premises], clock: Clock, tmp_path: Path) -> Iterator[Premises]:
    """Premises over a server that uses the clock of the test."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    server = Server(clock.wrapped(binary), tmp_path)
    yield make_night(server)
    server.kill()


def clock_error_s(night: Premises) -> float:
    """The seconds by which the server's clock is wrong."""
    seconds, _ = night.client.time()
    return abs(seconds - datetime.now(UTC).timestamp())


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(1, id="an hour ahead", marks=pytest.mark.smoke),
        pytest.param(-1, id="an hour behind"),
    ],
)
def test_the_clock_of_redis_jumps(moved_night: Premises, clock: Clock, hours: int) -> None:
    """All leases run out at once, or none runs out for an hour. Each row loses at most one lease, and no retry waits an hour."""
    night = moved_night
    night.configure(stub={"step_s": 0.02}, more={"lease_s": 5.0})
    batch_id = night.submit()
    night.work(), night.work()
    night.at_least(batch_id, ROWS // 8)
    claims = count(1)
    jobs = night.until(lambda: night.queue.claim(LANE, f"t-1-{next(claims)}", 4, 60_000, TEST).jobs, 30, "some rows")
    assert night.queue.settle(LANE, [Settlement(job.lease, "retry", 15_000) for job in jobs]) == frozenset()
    clock.move(hours * HOUR_S)
    assert clock_error_s(night) > HOUR_S - 60
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}
    lost = Counter(line.row for line in night.lines(batch_id) if line.status == "crashed")
    assert max(lost.values(), default=0) <= 1
    assert [worker.poll() for worker in night.workers] == [None, None], "no worker ended because of it"


@pytest.mark.parametrize("hours", [1, -1], ids=["an hour ahead", "an hour behind"])
def test_the_clock_of_redis_jumps_as_a_worker_dies(moved_night: Premises, clock: Clock, hours: int) -> None:
    """The rows of the dead worker do not wait for an hour."""
    night = moved_night
    night.configure(stub={"step_s": 0.02})
    batch_id = night.submit()
    victim = night.work()
    night.at_least(batch_id, ROWS // 4)
    night.leased()
    victim.kill()
    clock.move(hours * HOUR_S)
    night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize("hours", [1, -1], ids=["an hour ahead", "an hour behind"])
def test_the_clock_of_a_worker_is_wrong(make_night: Callable[..., Premises], clock: Clock, hours: int) -> None:
    """The worker works beside a worker with a right clock. If the wrong clock is ahead, the batch's deadline is over by that
    clock.
    """
    night = make_night()
    clock.move(hours * HOUR_S)
    batch_id = night.submit(deadline=datetime.now(UTC) + timedelta(minutes=30))
    night.work(env=clock.env)
    night.at_least(batch_id, ROWS // 4)
    night.work()
    assert night.finish(batch_id) == {"completed": ROWS}
    (started, *_) = [event for event in night.events("worker.started") if event["worker"].startswith("w0")]
    off = datetime.fromisoformat(started["timestamp"]) - datetime.now(UTC)
    assert abs(off) > timedelta(minutes=50), "its clock was right"
