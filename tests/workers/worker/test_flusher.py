"""Shows workers/worker/flusher.py: of a lease that another worker has by now, nothing is written."""

from collections.abc import Callable

import pytest

from jobs.lanes.protocol import Settlement, WorkerRecord
from tests.support.night import LANE
from tests.support.outcomes import completed
from tests.support.worker_night import WorkerNight
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat
from workers.worker.leases import Leases


@pytest.mark.parametrize(
    ("since_s", "written"),
    [
        pytest.param(59.0, ["completed"], id="the last answer is younger than a lease"),
        pytest.param(61.0, [], id="nothing was heard for a lease"),
    ],
)
def test_before_a_write_a_worker_asks_whether_its_leases_hold(
    make_night: Callable[..., WorkerNight], since_s: float, written: list[str]
) -> None:
    """The process was stopped, and another worker has the row when it goes on."""
    night, now = make_night(lease_s=60), 0.0
    night.accept(1)
    (job,) = night.claim(1, worker="mine")
    leases = Leases.from_settings(night.settings, lambda: now)
    leases.hold([job.lease])
    night.expire_leases()
    assert [other.key for other in night.claim(1)] == [job.key]
    record = WorkerRecord("mine", 1, "n", LANE, 1)
    heartbeat = Heartbeat(night.queue, leases, LANE, night.settings, lambda _: record, monotonic=lambda: now)
    now = since_s
    with Flusher(
        night.store,
        night.queue,
        leases,
        heartbeat,
        lane=LANE,
        worker="mine",
        incarnation="1",
        settings=night.settings,
    ) as flusher:
        flusher.put(night.batch_id, completed(job.lease), Settlement(job.lease))
    assert [line.status for line in night.outcomes()] == written
    assert leases.holding == 0
    assert night.snapshot().leased == 1, "the other worker's lease stays"
