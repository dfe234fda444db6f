"""The soft deadline, the breaker, another round for what failed, and the sweep, as commands beside a working fleet."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.publish import verify
from jobs.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
ROWS = 120
BAD = 100
TOML = """
breaker_rows = 10
max_attempts = 1

[models.slow]
engine = "stub"
options = { step_s = 0.05, slots = 8 }

[models.bad]
engine = "stub"
options = { failure_rate = 1.0, step_s = 0.1, slots = 1 }

[prices]
version = "t"
models.slow = { prompt = 1_000_000, completion = 2_000_000 }
"""


def status_of(shell: Any, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell.run("status", batch_id, "--json").stdout)["batches"][0]
    return found


def enqueue(shell: Any, rows: list[dict[str, Any]], name: str, *options: str) -> str:
    enqueued = shell.run("enqueue", str(shell.rows(rows, name)), *options)
    assert enqueued.returncode == 0, enqueued.stderr
    return str(enqueued.stdout.strip())


def chats(n: int, model: str) -> list[dict[str, Any]]:
    return [{"kind": "chat", "model": model, "prompt": f"Say {i}."} for i in range(n)]


def published_lines(shell: Any, batch_id: str, folder: str, name: str) -> list[dict[str, Any]]:
    path = Path(shell.folder / ".nightpress/store/batches" / batch_id / folder / name)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rounds_of_a_night(cluster_shell: Any, until: Any) -> None:
    shell = cluster_shell
    (shell.folder / "nightpress.toml").write_text(TOML)
    shell.start("work", "--workers", "1", "--model", "slow", "--model", "bad")
    until(lambda: len(json.loads(shell.run("status", "--json").stdout)["workers"]) == 2, 120, "two workers")
    store = Store.open(str(shell.folder / ".nightpress/store"))

    # At the soft deadline what is ready comes as round 1, the rest as round 2, and each row is charged once.
    soft = enqueue(shell, chats(ROWS, "slow"), "soft.jsonl", "--publish-at", "+5s")
    done = until(
        lambda: next(
            (store.read(f"batches/{soft}/{n}") for n in store.list(f"batches/{soft}") if n == "done-1.json"), b""
        ),
        60,
        "round 1",
    )
    first = json.loads(done)
    assert 0 < first["counts"]["completed"] < ROWS, "neither nothing nor all was ready"
    assert first["counts"]["expired"] == ROWS - first["counts"]["completed"]
    early = published_lines(shell, soft, first["folder"], "output.jsonl")
    waited = shell.run("wait", soft)
    assert waited.returncode == 0, waited.stderr + shell.logs()
    assert verify(store, soft) == []
    results = [json.loads(line) for line in shell.run("results", soft).stdout.splitlines()]
    assert [row["row"] for row in results] == list(range(ROWS))
    again = {row["row"]: row for row in results}
    assert all(again[row["row"]] == row for row in early), "what was published stays as it was"
    (used,) = json.loads(shell.run("usage", "--by", "batch", "--format", "json").stdout)
    assert (used["rows"], used["charge"]) == (ROWS, sum(row["usage"]["charge"] for row in results))

    # A batch of nothing but failures pauses itself, says why, and goes on when a person says so.
    bad = enqueue(shell, chats(BAD, "bad"), "bad.jsonl")
    waited = shell.run("wait", bad)
    assert waited.returncode == 4
    assert "is paused: its first" in waited.stderr
    assert "generation_failed" in waited.stderr
    assert status_of(shell, bad)["state"] == "paused"
    assert shell.run("resume", bad).returncode == 0
    waited = shell.run("wait", bad)
    assert (waited.returncode, status_of(shell, bad)["failed"]) == (1, BAD), waited.stderr + shell.logs()

    # Another round is for what failed alone. (It may pause too: then it is given up.)
    assert shell.run("failed", "retry", bad).returncode == 0
    assert shell.run("wait", bad).returncode in (1, 4)
    if status_of(shell, bad)["state"] == "paused":
        assert shell.run("cancel", bad).returncode == 0
    until(lambda: status_of(shell, bad)["state"] == "published", 60, "round 2")
    assert (status_of(shell, bad)["round"], verify(store, bad)) == (2, [])

    # The sweep takes both, and the accounts keep them.
    swept = shell.run("sweep", "--older-than", "0h")
    assert sorted(swept.stdout.split()) == sorted([soft, bad]), swept.stderr
    assert store.list("batches") == []
    assert json.loads(shell.run("usage", "--by", "batch", "--format", "json").stdout) == [used]
