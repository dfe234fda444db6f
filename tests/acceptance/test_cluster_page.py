"""Follows the section "A cluster" of docs/deployment.md by the commands that stand there, on two nodes of one machine.

`ray start` is not run, since it would use the ports and files of this machine: `ray.cluster_utils` starts the same two nodes.
"""

import json
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from jobs.batches.published import verify
from jobs.store.opening import open_store
from tests.support.ray_clusters import ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.timeout(600)]
PAGE = Path(__file__).parents[2] / "docs/deployment.md"
BIN = Path(sys.executable).parent
ROWS = 40
OURS = {"NIGHTPRESS_REDIS_URL", "NIGHTPRESS_STORE_URL"}
"""Settings that are those of the reader's own machines."""
NODES = ["ray start --head", "ray start --address=HEAD:6379"]


def commands() -> list[str]:
    """The commands of the section, in their order: those of its blocks, and those in the first lines of its steps."""
    section = PAGE.read_text().partition("\n## A cluster\n")[2].partition("\n## ")[0]
    section = section.partition("### How many workers")[0] + section.partition("### A fleet that outlives")[2]
    lines: list[str] = []
    is_block = False
    for line in section.splitlines():
        if line.startswith("```"):
            is_block = line == "```sh"
        elif is_block:
            lines.append(line)
        elif re.match(r"\d\. ", line):
            lines += [one for one in re.findall(r"`([^`]+)`", line) if one.startswith(("ray ", "nightpress "))]
    return lines


@pytest.fixture
def cluster(cluster_shell: Any) -> Iterator[Cluster]:
    with ray_cluster(cluster_shell.env, num_cpus=1) as made:
        yield made


def follow(command: str, cluster: Cluster, shell: Any, home: Path) -> str:
    """Do what a command says, and return what it printed."""
    words = shlex.split(command)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        if name not in OURS:
            shell.env[name] = value
        return ""
    if command in NODES:
        if command == NODES[1]:
            cluster.add_node(num_cpus=1)
        return ""
    if words[0] == "nightpress":
        done = shell.run(*words[1:])
    else:
        env = {"HOME": str(home), "PATH": f"{BIN}:/usr/bin:/bin"}
        done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def test_the_page_is_followed_to_the_letter(cluster: Cluster, cluster_shell: Any) -> None:
    shell, printed = cluster_shell, dict[str, str]()
    shell.env |= {"NIGHTPRESS_RAY_ADDRESS": cluster.address, "NIGHTPRESS_MODEL": "stub", "NIGHTPRESS_DRAIN_S": "5"}
    home = shell.folder / "home"
    home.mkdir()
    shell.rows([{"kind": "chat", "prompt": f"Say {n}."} for n in range(ROWS)], "tonight.jsonl")
    first, *others = commands()
    assert first.startswith("pip install "), "the package is installed here already"
    for command in others:
        printed[command] = follow(command, cluster, shell, home)
        if command.startswith("nightpress enqueue"):
            assert shell.run("wait", printed[command].strip()).returncode == 0
    assert stat.S_IMODE((home / ".ray/auth_token").stat().st_mode) == 0o600
    assert f"joined {cluster.address}: 2 nodes, 2 CPU, 0 GPU" in " ".join(printed["nightpress doctor"].split())
    batch_id = printed["nightpress enqueue tonight.jsonl"].strip()
    assert verify(open_store(str(shell.folder / ".nightpress/store")), batch_id) == []
    found = [json.loads(line)["row"] for line in shell.run("results", batch_id).stdout.splitlines()]
    assert found == list(range(ROWS))
    assert "stub: " in printed["nightpress work status"]
    stopped = shell.run("work", "status")
    assert (stopped.returncode, "no fleet of this store runs" in stopped.stderr) == (3, True)
    assert {*NODES, "ray get-auth-token --generate", "nightpress work --detach"} <= printed.keys()
