"""Shows the log of a whole night: every line is one JSON object, and no line is lost, even if a worker is killed."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.lanes.redis_queue import RedisQueue
from jobs.store.opening import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
NIGHTPRESS = str(Path(sys.executable).with_name("nightpress"))


@pytest.mark.faults
def test_each_line_of_a_night_is_json_and_none_is_lost(cluster_shell: Any, redis_url: str, until: Any) -> None:
    shell = cluster_shell
    shell.env["NIGHTPRESS_LOG_LEVEL"] = "debug"
    toml = '[models.stub]\nengine = "stub"\noptions = { step_s = 0.05, slots = 4 }\n'
    (shell.folder / "nightpress.toml").write_text(toml)
    (shell.folder / "inbox").mkdir()
    shell.rows([{"kind": "chat", "model": "stub", "prompt": f"Say {n}."} for n in range(60)], "inbox/a.jsonl")
    (shell.folder / "inbox/empty.jsonl").write_text("\n")
    with (shell.folder / "err.log").open("w") as log:
        process = subprocess.Popen(
            [NIGHTPRESS, "nightly", "inbox", "--workers", "2"],
            cwd=shell.folder,
            env=shell.env,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    shell.started.append(process)
    until(lambda: list(shell.folder.glob(".nightpress/store/batches/a-*/segments/*")), 120, "some rows")
    queue = RedisQueue.from_url(redis_url, store=open_store(str(shell.folder / ".nightpress/store")))

    def victim() -> int | None:
        assert process.poll() is None, (shell.folder / "err.log").read_text()
        held = [worker for worker in queue.snapshot("stub").workers if worker.running]
        return held[0].pid if held else None

    os.kill(until(victim, 120, "a worker with rows"), signal.SIGKILL)
    process.wait(120)
    queue.close()
    lines = (shell.folder / "err.log").read_text().splitlines()
    assert process.returncode == 2, lines
    events = [json.loads(line) for line in lines]
    assert all(isinstance(event, dict) and {"event", "level", "timestamp"} <= set(event) for event in events)
    assert not [line for line in lines if "\x1b" in line or "repeated" in line or "pid=" in line]
    counts = Counter(event["event"] for event in events)
    segments = list((shell.folder / ".nightpress/store").glob("batches/a-*/segments/*.jsonl"))
    wanted = {
        "worker.started": 3,
        "engine.loaded": 3,
        "worker.died": 1,
        "worker.stopped": 2,
        "segment.written": len(segments),
        "batch.published": 1,
        "cluster.joined": 1,
        "fleet.started": 1,
        "fleet.stopped": 1,
        "command.message": 1,
    }
    assert {name: counts[name] for name in wanted} == wanted, lines
    assert counts["ray.printed"] >= 1, "Ray's own words about the killed worker"
    of_workers = [
        event for event in events if event["event"] in ("worker.started", "segment.written", "worker.stopped")
    ]
    assert all(event["worker"] and event["node"] for event in of_workers)
