"""Runs enqueue, work, status, wait and results as separate processes over one Redis. One worker is killed when half of the rows
are done.
"""

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.store.opening import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
ROWS = 500
COUNTS = ("prompt_tokens", "cached_prompt_tokens", "completion_tokens", "device_ns", "device_cost", "charge")


def chats(n: int) -> list[dict[str, Any]]:
    return [{"custom_id": f"c{i}", "kind": "chat", "model": "stub", "prompt": f"Say {i}."} for i in range(n)]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def status_of(shell: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell.run("status", "--json").stdout)
    return found


@pytest.mark.faults
def test_a_worker_killed_at_half_loses_and_doubles_nothing(cluster_shell: Any, until: Any) -> None:
    shell = cluster_shell
    toml = '[models.stub]\nengine = "stub"\noptions = { step_s = 0.01, slots = 8 }\n'
    (shell.folder / "nightpress.toml").write_text(toml)
    enqueued = shell.run("enqueue", str(shell.rows(chats(ROWS))))
    assert enqueued.returncode == 0, enqueued.stderr
    batch_id = enqueued.stdout.strip()
    assert enqueued.stdout.count("\n") == 1
    for _ in range(2):
        shell.start("work", "--workers", "1", "--until-empty")

    def at_half() -> list[dict[str, Any]]:
        now = status_of(shell)
        enough = now["batches"][0]["completed"] >= ROWS // 3
        workers: list[dict[str, Any]] = now["workers"]
        return workers if enough and len(workers) == 2 else []

    victim = until(at_half, 90, "a third of the rows")[0]
    os.kill(victim["pid"], signal.SIGKILL)
    waited = shell.run("wait", batch_id, timeout_s=120)
    assert waited.returncode == 0, waited.stderr + shell.logs()
    assert verify(open_store(str(shell.folder / ".nightpress/store")), batch_id) == []
    results = shell.run("results", batch_id, "-o", "out.jsonl")
    assert results.returncode == 0, results.stderr
    rows = lines_of(shell.folder / "out.jsonl")
    assert Counter(row["row"] for row in rows) == Counter(range(ROWS))
    assert len({row["worker"] for row in rows}) >= 2
    (folder,) = (shell.folder / ".nightpress/store/batches" / batch_id / "published").iterdir()
    usage = json.loads((folder / "usage.json").read_text())
    assert {name: usage[name] for name in COUNTS} == {name: sum(row["usage"][name] for row in rows) for name in COUNTS}
    for process in shell.started:
        assert until(lambda p=process: p.poll() is not None, 60, "the fleets to end")
        assert process.returncode == 0, shell.logs()
