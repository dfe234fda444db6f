"""Ray's own control store is killed under a fleet, and never comes back.

A cluster without its control store cannot start or replace a worker, and ends by itself. The batch does not depend on it:
whatever was durable stays, and a fleet on another cluster does the rest.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.faults.premises import LANE, NIGHTPRESS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(280)]
ROWS = 300
PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that gives its control store up after a few seconds."""
    monkeypatch.setenv(PATIENCE, "5")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def night(tmp_path: Path, redis_server: Any, until: Callable[..., Any]) -> Iterator[Premises]:
    with Premises(tmp_path / "night", redis_server, until, stub={"step_s": 0.01}) as made:
        yield made


def fleet(night: Premises, address: str) -> subprocess.Popen[bytes]:
    with (night.folder / f"work-{len(list(night.folder.glob('*.log')))}.log").open("wb") as log:
        process = subprocess.Popen(
            [NIGHTPRESS, "work", "--workers", "1", "--until-empty"],
            cwd=night.folder,
            env={**night.env, PATIENCE: "5", "NIGHTPRESS_RAY_ADDRESS": address},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    night.workers.append(process)
    return process


def kill_control_store(cluster: Cluster) -> None:
    (control,) = cluster.head_node.all_processes["gcs_server"]
    os.kill(control.process.pid, signal.SIGKILL)


def test_rays_control_store_killed_at_half_while_the_worker_lives(night: Premises, cluster: Cluster) -> None:
    """The worker and the fleet need it for nothing but starting: they may bring the batch to its end."""
    batch_id = night.submit(ROWS)
    first = fleet(night, cluster.address)
    night.at_least(batch_id, ROWS // 4)
    kill_control_store(cluster)
    first.wait(120)
    if first.returncode:  # Ray has given up before the fleet was done
        second = fleet(night, "local")
        second.wait(120)
        assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS}


def test_rays_control_store_killed_at_half_and_the_worker_with_it(night: Premises, cluster: Cluster) -> None:
    """No other worker can be started: the command ends, says why, and a fleet on another cluster does the rest."""
    batch_id = night.submit(ROWS)
    first = fleet(night, cluster.address)
    night.at_least(batch_id, ROWS // 4)
    kill_control_store(cluster)
    (worker,) = night.queue.snapshot(LANE).workers
    os.kill(worker.pid, signal.SIGKILL)
    first.wait(120)
    assert first.returncode == 1
    assert night.said("Failed to connect to GCS") == 1
    assert night.outcomes(batch_id) < ROWS
    second = fleet(night, "local")
    second.wait(120)
    assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS}
