"""Tests a fleet whose Ray control store (GCS) is killed and never comes back.

A cluster without its control store cannot start or replace a worker, and ends by itself. The command ends before that, and says
why. The batch does not depend on the control store: durable outcomes stay, and a fleet on another cluster does the other rows.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest
from ray.cluster_utils import Cluster

from jobs.batches.batch import BatchPaths
from tests.faults.premises import Premises
from tests.support.ray_clusters import ray_cluster
from workers.fleet.handles import GCS_TIMEOUT_VARIABLE

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]
ROWS = 300
GCS_TIMEOUT_S = 10


@pytest.fixture
def night(make_night: Callable[..., Premises]) -> Premises:
    return make_night(stub={"step_s": 0.01})


@pytest.fixture
def cluster(night: Premises, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that gives up on its control store after GCS_TIMEOUT_S seconds."""
    monkeypatch.setenv(GCS_TIMEOUT_VARIABLE, str(GCS_TIMEOUT_S))
    with ray_cluster(night.env, num_cpus=2) as made:
        yield made


def fleet(night: Premises, address: str) -> subprocess.Popen[bytes]:
    night.env |= {GCS_TIMEOUT_VARIABLE: str(GCS_TIMEOUT_S), "NIGHTPRESS_RAY_ADDRESS": address}
    return night.start("work", "--workers", "1", "--until-empty")


def kill_control_store(cluster: Cluster) -> None:
    (control,) = cluster.head_node.all_processes["gcs_server"]
    os.kill(control.process.pid, signal.SIGKILL)


def ended_with_one_line(night: Premises, process: subprocess.Popen[bytes]) -> None:
    """Require exit status 3 and one line that names the control store. The command must end before Ray would end it with Ray's
    own message.
    """
    assert process.returncode == 3, night.logs()
    messages = [line for line in night.raw_logs().decode().splitlines() if '"command.failed"' in line]
    assert len(messages) == 1, night.logs()
    assert "control store" in messages[0]
    assert "then the same command" in messages[0]
    assert night.logged("Failed to connect to GCS") == 0, night.logs()


@pytest.mark.parametrize("step_s", [0.01, 0.2], ids=["and is soon done", "and is not done in time"])
def test_rays_control_store_killed_at_half_while_the_worker_lives(
    night: Premises, cluster: Cluster, step_s: float
) -> None:
    """The worker and the fleet need the control store only for starting, so they may finish the batch."""
    night.configure(stub={"step_s": step_s})
    batch_id = night.submit(ROWS)
    first = fleet(night, cluster.address)
    night.at_least(batch_id, ROWS // 4 if step_s < 0.1 else 1)
    kill_control_store(cluster)
    first.wait(120)
    if first.returncode or step_s > 0.1:  # the batch was not done when Ray was about to give up
        ended_with_one_line(night, first)
        assert night.outcomes(batch_id) < ROWS
        night.configure(stub={"step_s": 0.0})
        second = fleet(night, "local")
        second.wait(120)
        assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS}


def test_rays_control_store_killed_at_half_and_the_worker_with_it(night: Premises, cluster: Cluster) -> None:
    """No other worker can be started. The command ends and says why, and a fleet on another cluster does the other rows."""
    batch_id = night.submit(ROWS)
    first = fleet(night, cluster.address)
    night.at_least(batch_id, ROWS // 4)
    kill_control_store(cluster)
    (worker,) = night.until(lambda: night.lane().workers, 60, "the worker to beat")
    os.kill(worker.pid, signal.SIGKILL)
    first.wait(120)
    ended_with_one_line(night, first)
    assert night.outcomes(batch_id) < ROWS
    second = fleet(night, "local")
    second.wait(120)
    assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS}


def test_rays_control_store_killed_under_a_run(night: Premises) -> None:
    """`run` started the control store itself. The same command, started again, continues where it stopped."""
    rows = [json.dumps({"kind": "chat", "prompt": f"Say {n}."}) for n in range(ROWS)]
    (night.folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    night.configure(stub={"step_s": 0.05})
    night.env |= {GCS_TIMEOUT_VARIABLE: str(GCS_TIMEOUT_S)}
    words = ("run", "rows.jsonl", "--out", "out", "--workers", "1")
    first = night.start(*words)
    night.until(lambda: night.store.list("batches"), 120, "the batch")
    (batch_id,) = night.store.list("batches")
    night.until(lambda: night.store.exists(BatchPaths(batch_id).acceptance), 30, "the batch")
    night.at_least(batch_id, 1)
    (control,) = [one for one in psutil.Process(first.pid).children(recursive=True) if one.name() == "gcs_server"]
    control.kill()
    first.wait(120)
    ended_with_one_line(night, first)
    assert 0 < night.outcomes(batch_id) < ROWS
    night.configure(stub={"step_s": 0.0})
    assert night.command(*words).returncode == 0
    assert night.check(batch_id) == {"completed": ROWS}
