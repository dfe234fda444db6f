"""Shows workers/worker/flusher.py: if another worker has taken a row over, no outcome of it is written."""

from collections.abc import Callable

import pytest

from jobs.lanes.protocol import Settlement
from tests.support.clocks import MovedClock
from tests.support.outcomes import completed
from tests.support.worker_night import WorkerNight
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat


@pytest.mark.parametrize(
    ("since_s", "written"),
    [
        pytest.param(59.0, ["completed"], id="the last answer is younger than a lease"),
        pytest.param(61.0, [], id="Redis was silent for longer than a lease"),
    ],
)
def test_before_a_write_a_worker_asks_whether_its_leases_hold(
    make_night: Callable[..., WorkerNight], since_s: float, written: list[str]
) -> None:
    """The process was stopped for a while. When it continues, another worker has the row."""
    clock = MovedClock()
    night = make_night(clock=clock, lease_s=60)
    night.accept(1)
    (job,) = night.claim(1, worker="mine")
    context = night.context(name="mine")
    context.leases.add([job.lease])
    night.expire_leases()
    assert [other.key for other in night.claim(1)] == [job.key]
    heartbeat = Heartbeat(context)
    clock.pass_s(since_s)
    with Flusher(context, heartbeat) as flusher:
        flusher.put(night.batch_id, completed(job.lease), Settlement(job.lease))
    assert [line.status for line in night.outcomes()] == written
    assert context.leases.holding == 0
    assert night.snapshot().leased == 1, "the other worker's lease stays"
