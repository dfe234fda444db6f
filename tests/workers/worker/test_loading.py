"""Shows workers/worker/loading.py: while a worker loads its model, snapshots of the queue show it as loading."""

import threading
from collections.abc import Sequence

import fakeredis
import pytest

from jobs.errors import QueueUnavailable
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Beat, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from workers.worker.loading import LoadingSign


class Signs(RedisQueue):
    """A queue that notes when a beat came."""

    def __init__(self, *, is_away: bool = False) -> None:
        super().__init__(fakeredis.FakeRedis())
        self.came = threading.Event()
        self._is_away = is_away

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        self.came.set()
        if self._is_away:
            raise QueueUnavailable("Redis is away")
        return super().beat(lane, leases, lease_ms, worker)


def test_a_worker_that_loads_its_model_is_shown_with_the_time() -> None:
    queue, seconds = Signs(), iter([100.0, 112.5, 175.9])
    with LoadingSign(queue, "stub", "w-1", "node-1", 60_000, monotonic=lambda: next(seconds)) as sign:
        assert queue.came.wait(10)
        sign.show()
        (worker,) = queue.snapshot("stub").workers
        assert (worker.worker, worker.node, worker.running) == ("w-1", "node-1", 0)
        assert worker.loading_s in (12, 75)
    assert queue.snapshot("stub").workers, "its runner shows it from now on"


def test_a_worker_whose_model_cannot_be_loaded_is_shown_no_longer() -> None:
    queue = Signs()

    def load() -> None:
        with LoadingSign(queue, "stub", "w-1", "node-1", 60_000):
            assert queue.came.wait(10)
            raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        load()
    assert queue.snapshot("stub").workers == []


def test_a_redis_that_is_away_does_not_keep_a_model_from_loading() -> None:
    queue = Signs(is_away=True)
    with LoadingSign(queue, "stub", "w-1", "node-1", 60_000):
        assert queue.came.wait(10)
