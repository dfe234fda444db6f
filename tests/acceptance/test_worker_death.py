"""Measures the time that the death and the drain of a worker cost; `pytest -rP` prints the figures."""

import json
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.lanes.redis_queue import RedisQueue
from jobs.store.opening import open_store
from tests.faults.premises import Premises

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
LEASE_S = 8.0
"""The length of a lease, in seconds. A new worker starts within this time. If it started later, its rows would wait for one
more lease.
"""
GRACE_S = 5.0
SLACK_S = 5.0
"""Seconds by which a busy machine may exceed the promised time. The promised time is printed beside the measured time."""


def events(shell: Any, name: str) -> list[float]:
    """The times at which any process logged an event."""
    found = []
    for path in sorted(Path(shell.folder).glob("work-*.log")):
        for line in path.read_text().splitlines():
            if f'"event": "{name}"' in line:
                values = json.loads(line)
                found.append(datetime.fromisoformat(values["timestamp"]).timestamp())
    return found


def started(shell: Any, redis_url: str, until: Any, *, rows: int, step_s: float) -> tuple[Any, RedisQueue, str]:
    """Start a fleet of one worker and wait until four rows are leased. Returns its process, the queue and the batch id."""
    toml = f'[models.stub]\nengine = "stub"\noptions = {{ step_s = {step_s}, slots = 4 }}\n'
    (shell.folder / "nightpress.toml").write_text(toml)
    shell.rows([{"kind": "chat", "model": "stub", "prompt": f"Say {i}.", "max_tokens": 200} for i in range(rows)])
    enqueued = shell.run("enqueue", "rows.jsonl")
    assert enqueued.returncode == 0
    process = shell.start("work", "--workers", "1", "--until-empty")
    queue = RedisQueue.from_url(redis_url, store=open_store(str(shell.folder / ".nightpress/store")))
    until(lambda: queue.snapshot("stub").leased >= 4, 120, "rows in hand")
    return process, queue, enqueued.stdout.strip()


@pytest.mark.faults
def test_the_death_of_the_only_worker_costs_a_lease_and_a_little(
    cluster_shell: Any, redis_server: Any, until: Any
) -> None:
    """The worker held rows, which another worker takes over. I1 to I6 of tests/faults/README.md hold."""
    shell = cluster_shell
    shell.env["NIGHTPRESS_LEASE_S"] = str(LEASE_S)
    process, queue, batch_id = started(shell, redis_server.url, until, rows=40, step_s=0.02)
    (worker,) = until(lambda: queue.snapshot("stub").workers, 20, "the worker")
    killed = time.time()
    os.kill(worker.pid, signal.SIGKILL)
    assert queue.snapshot("stub").leased > 0, "it held no row"
    queue.close()
    until(lambda: events(shell, "job.rescued"), 60, "the rescue\n")
    cost_s = events(shell, "job.rescued")[0] - killed
    print(f"rows were taken up again {cost_s:.2f} s after the kill; lease {LEASE_S} s, promised {LEASE_S + 2} s")  # noqa: T201
    assert cost_s <= LEASE_S + 2.0 + SLACK_S
    process.wait(120)
    assert process.returncode == 0, shell.logs()
    assert "Traceback" not in shell.logs()
    night = Premises(shell.folder / "premises", redis_server, until, str(shell.folder / ".nightpress/store"))
    assert night.check(batch_id) == {"completed": 40}
    night.close()


def test_a_drain_releases_all_rows_within_its_grace_time(cluster_shell: Any, redis_url: str, until: Any) -> None:
    """Each row would take minutes, and the grace time is 5 s."""
    shell = cluster_shell
    shell.env["NIGHTPRESS_DRAIN_S"] = str(GRACE_S)
    process, queue, _ = started(shell, redis_url, until, rows=40, step_s=3.0)
    sent_at = time.time()
    process.send_signal(signal.SIGTERM)
    until(lambda: queue.snapshot("stub").leased == 0, 30, "all leases to be released")
    drained_s = time.time() - sent_at
    process.wait(60)
    ended_s = time.time() - sent_at
    print(f"all leases were released {drained_s:.2f} s after SIGTERM, the command {ended_s:.2f} s; grace {GRACE_S} s")  # noqa: T201
    assert drained_s <= GRACE_S + SLACK_S
    lane = queue.snapshot("stub")
    queue.close()
    assert (lane.leased, lane.suspects) == (0, 0), "a lease was left to run out"
    assert process.returncode == 0, shell.logs()
    assert "Traceback" not in shell.logs()
