"""Ray's own control store is killed under a fleet, and never comes back.

A cluster without its control store cannot start or replace a worker, and ends by itself; the command ends before, and says
why. The batch does not depend on it: whatever was durable stays, and a fleet on another cluster does the rest.
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
from workers.fleet.handles import GCS_TIMEOUT_VARIABLE

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]
ROWS = 300
GCS_TIMEOUT_S = 10


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that gives its control store up after a few seconds."""
    monkeypatch.setenv(GCS_TIMEOUT_VARIABLE, str(GCS_TIMEOUT_S))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def night(make_night: Callable[..., Premises]) -> Premises:
    return make_night(stub={"step_s": 0.01})


def fleet(night: Premises, address: str) -> subprocess.Popen[bytes]:
    night.env |= {GCS_TIMEOUT_VARIABLE: str(GCS_TIMEOUT_S), "NIGHTPRESS_RAY_ADDRESS": address}
    return night.start("work", "--workers", "1", "--until-empty")


def kill_control_store(cluster: Cluster) -> None:
    (control,) = cluster.head_node.all_processes["gcs_server"]
    os.kill(control.process.pid, signal.SIGKILL)


def said_and_ended(night: Premises, process: subprocess.Popen[bytes]) -> None:
    """In one line, with the status of what is not there, and before Ray could with a trace of its own."""
    assert process.returncode == 3, night.logs()
    said = [line for line in night.raw_logs().decode().splitlines() if line.startswith("nightpress: ")]
    assert len(said) == 1, night.logs()
    assert "control store" in said[0]
    assert "then the same command" in said[0]
    assert night.said("Failed to connect to GCS") == 0, night.logs()


@pytest.mark.parametrize("step_s", [0.01, 0.2], ids=["and is soon done", "and is not done in time"])
def test_rays_control_store_killed_at_half_while_the_worker_lives(
    night: Premises, cluster: Cluster, step_s: float
) -> None:
    """The worker and the fleet need it for nothing but starting: they may bring the batch to its end."""
    night.configure(stub={"step_s": step_s})
    batch_id = night.submit(ROWS)
    first = fleet(night, cluster.address)
    night.at_least(batch_id, ROWS // 4 if step_s < 0.1 else 1)
    kill_control_store(cluster)
    first.wait(120)
    if first.returncode or step_s > 0.1:  # it was not done when Ray was about to give up
        said_and_ended(night, first)
        assert night.outcomes(batch_id) < ROWS
        night.configure(stub={"step_s": 0.0})
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
    (worker,) = night.until(lambda: night.lane().workers, 60, "the worker to beat")
    os.kill(worker.pid, signal.SIGKILL)
    first.wait(120)
    said_and_ended(night, first)
    assert night.outcomes(batch_id) < ROWS
    second = fleet(night, "local")
    second.wait(120)
    assert second.returncode == 0, night.logs()
    assert night.check(batch_id) == {"completed": ROWS}


def test_rays_control_store_killed_under_a_run(night: Premises) -> None:
    """The one that it has started itself. The same command goes on where it was."""
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
    said_and_ended(night, first)
    assert 0 < night.outcomes(batch_id) < ROWS
    night.configure(stub={"step_s": 0.0})
    assert night.command(*words).returncode == 0
    assert night.check(batch_id) == {"completed": ROWS}
