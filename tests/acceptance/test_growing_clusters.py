"""Shows a detached fleet on a cluster that grows. Ray's own autoscaler adds nodes for the workers of the plan, and takes them
back once the fleet is idle. The nodes are processes of this machine, and their GPUs exist in name only.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import free_port

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent
HEAD_ID = "f" * 56
"""The id of the head, by which the provider of fake nodes knows it."""
MAX_NODES = 4


def autoscaling(address: str) -> dict[str, Any]:
    """The configuration of an autoscaler whose nodes have one fake GPU each."""
    return {
        "cluster_name": "fake",
        "max_workers": MAX_NODES,
        "idle_timeout_minutes": 0.05,
        "upscaling_speed": 1000.0,
        "provider": {
            "type": "fake_multinode",
            "head_node_id": HEAD_ID,
            "gcs_address": address,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
            "gpu": {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": MAX_NODES},
        },
        "head_node_type": "ray.head.default",
        "auth": {},
        "docker": {},
        "head_node": {},
        "worker_nodes": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }


@pytest.fixture
def grown_shell(shell: Any, redis_url: str) -> Iterator[Any]:
    """Commands on a cluster that grows, from a home with a short path. All processes of the cluster are ended by that path."""
    home = Path(tempfile.mkdtemp(prefix="np"))
    port = free_port()
    address = f"127.0.0.1:{port}"
    shell.env |= {
        "HOME": str(home),
        "RAY_TMPDIR": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "NIGHTPRESS_REDIS_URL": redis_url,
        "NIGHTPRESS_RAY_ADDRESS": address,
    }
    config = home / "autoscaling.yaml"
    config.write_text(json.dumps(autoscaling(address)))
    try:
        ray(shell, "get-auth-token", "--generate")
        words = f"start --head --port={port} --node-ip-address=127.0.0.1 --num-cpus=1 --include-dashboard=false"
        ray(shell, *words.split(), "--disable-usage-stats", f"--autoscaling-config={config}")
        del shell.env["RAY_OVERRIDE_NODE_ID_FOR_TESTING"]
        yield shell
    finally:
        for process in psutil.process_iter(["cmdline"]):
            if any(str(home) in word for word in process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        shutil.rmtree(home, ignore_errors=True)


def ray(shell: Any, *words: str) -> str:
    done = subprocess.run(
        [str(BIN / "ray"), *words],
        env=shell.env,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_cluster_grows_by_the_plan_and_shrinks_to_nothing(grown_shell: Any, until: Callable[..., Any]) -> None:
    """There are rows for three workers, and the cluster may grow to four."""
    shell = grown_shell
    shell.env |= {"NIGHTPRESS_MAX_GPUS": str(MAX_NODES), "NIGHTPRESS_IDLE_S": "3", "NIGHTPRESS_DRAIN_S": "2"}
    card = '[models.stub]\nengine = "stub"\nnum_gpus = 1\noptions = { step_s = 0.5, slots = 8 }\n'
    (shell.folder / "nightpress.toml").write_text(card)
    rows = [{"kind": "chat", "model": "stub", "prompt": f"Say {n}.", "max_tokens": 64} for n in range(24)]
    batch_id = shell.run("enqueue", str(shell.rows(rows))).stdout.strip()
    started = shell.run("work", "--detach")
    assert started.returncode == 0, started.stderr
    seen: list[int] = []

    def gpus() -> int:
        found = nodes(shell)
        seen.append(found)
        return found

    until(lambda: gpus() == 3, 240, "three nodes")
    assert shell.run("wait", batch_id, timeout_s=240).returncode == 0
    until(lambda: gpus() == 0, 240, "the cluster to shrink")
    assert max(seen) == 3, "it never grew beyond the plan"
    shown = json.loads(shell.run("work", "status", "--json").stdout)
    assert sum(model["asked"] for model in shown["fleet"]["models"].values()) == 0
    assert shell.run("work", "stop").returncode == 0


def nodes(shell: Any) -> int:
    """The nodes of the cluster with a GPU, as Ray's status shows them."""
    code = (
        "from ray.autoscaler.v2.sdk import get_cluster_status as ask; import sys; found = ask(sys.argv[1]); "
        "print(sum('GPU' in {one.resource_name for one in node.resource_usage.usage} "
        "for node in (*found.active_nodes, *found.idle_nodes)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, shell.env["NIGHTPRESS_RAY_ADDRESS"]],
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
