"""Runs one fleet over two Ray nodes, and removes the second node without warning in mid-batch."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from tests.faults.premises import Premises
from tests.support.ray_clusters import ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.timeout(280)]
ROWS = 240


@pytest.fixture
def cluster(cluster_shell: Any) -> Iterator[Cluster]:
    with ray_cluster(cluster_shell.env, num_cpus=1) as made:
        yield made


def test_a_node_removed_at_half_loses_and_doubles_nothing(
    cluster: Cluster, cluster_shell: Any, redis_server: Any, until: Any
) -> None:
    """The worker on the removed node held rows, which another worker takes over. I1 to I6 of tests/faults/README.md hold."""
    shell = cluster_shell
    second = cluster.add_node(num_cpus=1)
    shell.env["NIGHTPRESS_RAY_ADDRESS"] = cluster.address
    (shell.folder / "nightpress.toml").write_text(
        '[models.stub]\nengine = "stub"\noptions = { step_s = 0.03, slots = 8 }\n'
    )
    rows = [{"kind": "chat", "model": "stub", "prompt": f"Say {i}."} for i in range(ROWS)]
    batch_id = shell.run("enqueue", str(shell.rows(rows))).stdout.strip()
    process: subprocess.Popen[str] = shell.start("work", "--workers", "2", "--until-empty")

    def at_half() -> bool:
        assert process.poll() is None, shell.logs()
        now = json.loads(shell.run("status", "--json").stdout)
        nodes = {worker["node"] for worker in now["workers"]}
        return now["batches"][0]["completed"] >= ROWS // 4 and len(nodes) == 2

    until(at_half, 120, "a quarter of the rows on two nodes")
    cluster.remove_node(second, allow_graceful=False)
    waited = shell.run("wait", batch_id, timeout_s=150)
    assert waited.returncode == 0, waited.stderr + shell.logs()
    assert '"event": "job.rescued"' in shell.logs(), "the worker of that node held no row"
    assert "Traceback" not in shell.logs()
    night = Premises(shell.folder / "premises", redis_server, until, str(shell.folder / ".nightpress/store"))
    assert night.check(batch_id) == {"completed": ROWS}
    night.close()
    assert shell.run("results", batch_id, "-o", "out.jsonl").returncode == 0
    found = [json.loads(line)["row"] for line in (shell.folder / "out.jsonl").read_text().splitlines()]
    assert Counter(found) == Counter(range(ROWS))
    assert not ray.is_initialized()
