"""Shows workers/worker/flusher.py: of a lease that another worker has by now, nothing is written."""

from pathlib import Path

import pytest
import redis

from jobs.batches.segments.segment import Outcome, read_outcomes
from jobs.lanes.job import Job
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.local import LocalStore
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat
from workers.worker.leases import Leases

LANE = "stub"
FOLDER = "batches/b/segments"


def claimed(queue: RedisQueue, worker: str) -> Job:
    (job,) = queue.claim(LANE, f"{worker}-1-0", 1, 60_000, WorkerRecord(worker, 1, "n", LANE, 0)).jobs
    return job


@pytest.mark.parametrize(
    ("since_s", "written"),
    [
        pytest.param(59.0, ["completed"], id="the last answer is younger than a lease"),
        pytest.param(61.0, [], id="nothing was heard for a lease"),
    ],
)
def test_before_a_write_a_worker_asks_whether_its_leases_hold(
    tmp_path: Path, fake_client: redis.Redis, fake_queue: RedisQueue, since_s: float, written: list[str]
) -> None:
    """The process was stopped, and another worker has the row when it goes on."""
    fake_queue.feed(LANE, "b", 1, 0, 1, True, [FeedRow(0, b"{}", 1, 4, "t")])
    now, settings = 0.0, Settings(lease_s=60)
    leases, job = Leases.from_settings(settings, lambda: now), claimed(fake_queue, "mine")
    leases.hold([job.lease])
    fake_client.zadd(f"np:1:{{{LANE}}}:leased", {str(job.key): 1})
    assert claimed(fake_queue, "other").key == job.key
    record = WorkerRecord("mine", 1, "n", LANE, 1)
    heartbeat = Heartbeat(fake_queue, leases, LANE, settings, lambda _: record, monotonic=lambda: now)
    now = since_s
    store = LocalStore(str(tmp_path))
    with Flusher(
        store, fake_queue, leases, heartbeat, lane=LANE, worker="mine", incarnation="1", settings=settings
    ) as flusher:
        line = Outcome(0, 1, job.lease.fence, job.lease.claim_id, "completed", True, "chat", model="stub")
        flusher.put("b", line, Settlement(job.lease))
    lines = [line for name in store.list(FOLDER) for line in read_outcomes(store, f"{FOLDER}/{name}")]
    assert [line.status for line in lines] == written
    assert leases.holding == 0
    assert fake_queue.snapshot(LANE).leased == 1, "the other worker's lease stays"
