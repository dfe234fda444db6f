"""Drains a node of a cluster under load, and sends SIGTERM to a worker: no attempt is counted, and no row is lost.

`pytest -rP` prints the times.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from jobs.lanes.protocol import LaneSnapshot
from jobs.lanes.redis_queue import RedisQueue
from jobs.store.opening import open_store
from tests.faults.premises import Premises
from tests.support.ray_clusters import ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.timeout(280)]
NOTICE_S = 12
"""Seconds of notice before the node ends."""
TERMINATED_S = 5.0
"""Seconds in which a worker that gets SIGTERM has given back its rows."""
SLACK_S = 5.0
"""Seconds by which a busy machine may exceed a promised time. The promised time is printed beside the measured time."""


def enqueued(shell: Any, *, rows: int, step_s: float, words: int) -> str:
    """Enqueue rows of `words` words, each of which takes `step_s` seconds. Returns the id of the batch."""
    toml = f'[models.stub]\nengine = "stub"\noptions = {{ step_s = {step_s}, slots = 4 }}\n'
    (shell.folder / "nightpress.toml").write_text(toml)
    prompt = {"kind": "chat", "model": "stub", "prompt": "Tell a long story.", "max_tokens": words}
    done = shell.run("enqueue", str(shell.rows([{**prompt, "seed": 40, "custom_id": str(i)} for i in range(rows)])))
    assert done.returncode == 0, done.stderr
    return str(done.stdout.strip())


def events(shell: Any, name: str) -> list[dict[str, Any]]:
    """The events of this name that the fleet has logged."""
    lines = [line for path in Path(shell.folder).glob("work-*.log") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if f'"event": "{name}"' in line]


def check_unharmed(shell: Any, batch_id: str, rows: int, redis_server: Any, until: Any) -> None:
    """Check that every row was done at its first attempt, and that no lease ran out. I1 to I6 of tests/faults hold."""
    assert events(shell, "job.rescued") == [], "a lease ran out"
    assert "Traceback" not in shell.logs()
    night = Premises(shell.folder / "premises", redis_server, until, str(shell.folder / ".nightpress/store"))
    assert night.check(batch_id) == {"completed": rows}
    assert {line.attempt for line in night.lines(batch_id)} == {1}
    night.close()


@pytest.fixture
def cluster(cluster_shell: Any) -> Iterator[Cluster]:
    with ray_cluster(cluster_shell.env, num_cpus=1) as made:
        cluster_shell.env["NIGHTPRESS_RAY_ADDRESS"] = made.address
        yield made


def drain(cluster: Cluster, node_id: str) -> float:
    """Drain a node, as `ray drain-node` does. Returns the time of the monotonic clock just after."""
    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    gcs = ray._raylet.GcsClient(address=cluster.address)
    assert gcs.drain_node(node_id, reason, "a spot machine is taken away", int((time.time() + NOTICE_S) * 1000))[0]
    return time.monotonic()


@pytest.mark.parametrize("words", [pytest.param(40, id="rows of 20 s"), 4])
def test_a_draining_node_is_left_before_it_ends_and_its_rows_are_unharmed(
    words: int, cluster: Cluster, cluster_shell: Any, redis_server: Any, until: Any
) -> None:
    """Rows that take longer than the notice are given back, and run again elsewhere; others are finished."""
    shell, rows = cluster_shell, 16
    second = cluster.add_node(num_cpus=1)
    batch_id = enqueued(shell, rows=rows, step_s=0.5, words=words)
    process = shell.start("work", "--workers", "2")
    queue = RedisQueue.from_url(redis_server.url, store=open_store(str(shell.folder / ".nightpress/store")))

    def workers_at_work() -> list[Any]:
        assert process.poll() is None, shell.logs()
        return [worker for worker in queue.snapshot("stub").workers if worker.begun >= 4]

    at_work = until(lambda: found if len(found := workers_at_work()) == 2 else None, 120, "rows begun by two workers")
    (leaving,) = [worker for worker in at_work if second.node_id.startswith(worker.node.rpartition("/")[2])]
    cluster.add_node(num_cpus=1)
    drained_at = drain(cluster, second.node_id)
    seen = until(lambda: events(shell, "node.draining"), 30, "the fleet to see it")
    seen_s = time.monotonic() - drained_at

    def worker_names(lane: LaneSnapshot) -> set[str]:
        return {worker.worker for worker in lane.workers}

    until(lambda: leaving.worker not in worker_names(queue.snapshot("stub")), 60, "the worker to leave")
    left_s = time.monotonic() - drained_at
    print(f"seen {seen_s:.2f} s after the drain, left after {left_s:.2f} s; the node ends after {NOTICE_S} s")  # noqa: T201
    assert left_s <= NOTICE_S + SLACK_S
    assert [event["worker"] for event in seen] == [leaving.worker]
    successor = until(
        lambda: worker_names(queue.snapshot("stub")) - {one.worker for one in at_work}, 60, "its successor"
    )
    nodes = {worker.node for worker in queue.snapshot("stub").workers if worker.worker in successor}
    assert leaving.node not in nodes
    queue.close()
    waited = shell.run("wait", batch_id)
    assert waited.returncode == 0, waited.stderr + shell.logs()
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    check_unharmed(shell, batch_id, rows, redis_server, until)


def test_a_worker_that_gets_sigterm_gives_back_its_rows_within_5_s(
    cluster_shell: Any, redis_server: Any, until: Any
) -> None:
    """Each row takes 20 s, so none is finished in that time."""
    shell, rows = cluster_shell, 8
    shell.env["NIGHTPRESS_LEASE_S"] = "9"  # longer than the grace, or a row could be lost unnoticed
    batch_id = enqueued(shell, rows=rows, step_s=0.5, words=40)
    process = shell.start("work", "--workers", "1", "--until-empty")
    queue = RedisQueue.from_url(redis_server.url, store=open_store(str(shell.folder / ".nightpress/store")))
    until(lambda: [one for one in queue.snapshot("stub").workers if one.begun >= 4], 120, "rows that have begun")
    (worker,) = queue.snapshot("stub").workers
    os.kill(worker.pid, signal.SIGTERM)
    told_at = time.monotonic()
    until(lambda: queue.snapshot("stub").leased == 0, 30, "all leases to be released")
    released_s = time.monotonic() - told_at
    another = until(
        lambda: [one for one in queue.snapshot("stub").workers if one.pid != worker.pid], 60, "another worker"
    )
    replaced_s = time.monotonic() - told_at
    times = f"given back {released_s:.2f} s after SIGTERM, promised {TERMINATED_S}; replaced after {replaced_s:.2f} s"
    print(times)  # noqa: T201
    assert released_s <= TERMINATED_S + SLACK_S
    assert another[0].worker == worker.worker
    queue.close()
    process.wait(120)
    assert process.returncode == 0, shell.logs()
    assert len(events(shell, "worker.left")) == 1
    assert events(shell, "worker.died") == []
    check_unharmed(shell, batch_id, rows, redis_server, until)
