"""Runs the commands of an operator beside a working fleet, which is started once.

The commands use the soft deadline, the breaker, further rounds for failed rows, the replay of a row, and deletion by name and
by age. The usage of all rounds must add up, with no row charged twice.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.lanes.redis_queue import RedisQueue
from jobs.store.opening import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
ROWS = 90
BAD = 50
ENTRY = """
import sys
from jobs.settings import Settings
from workers.worker.worker import Worker, WorkerPlan
Worker(WorkerPlan("alone", "flaky", sys.argv[1], Settings())).run()
"""
TOML = """
breaker_rows = 10
max_attempts = 1

[models.slow]
engine = "stub"
options = { step_s = 0.05, slots = 8 }

[models.flaky]
engine = "stub"
options = { failure_rate = 0.3, step_s = 0.01, slots = 8 }

[models.bad]
engine = "stub"
options = { failure_rate = 1.0, step_s = 0.1, slots = 1 }

[prices]
version = "t"
models.slow = { prompt = 1_000_000, completion = 2_000_000 }
models.flaky = { prompt = 1_000_000, completion = 2_000_000 }
"""


def status_of(shell: Any, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell.run("status", batch_id, "--json").stdout)["batches"][0]
    return found


def enqueue(shell: Any, rows: list[dict[str, Any]], name: str, *options: str) -> str:
    enqueued = shell.run("enqueue", str(shell.rows(rows, name)), *options)
    assert enqueued.returncode == 0, enqueued.stderr
    return str(enqueued.stdout.strip())


def chats(n: int, model: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"kind": "chat", "model": model, "prompt": f"Say {i}.", **fields} for i in range(n)]


def published_lines(shell: Any, batch_id: str, folder: str, name: str) -> list[dict[str, Any]]:
    path = Path(shell.folder / ".nightpress/store/batches" / batch_id / folder / name)
    return [json.loads(line) for line in path.read_text().splitlines()]


def output_of(shell: Any, batch_id: str) -> dict[int, dict[str, Any]]:
    """The published completed rows, by number."""
    return {row["row"]: row for row in map(json.loads, shell.run("results", batch_id).stdout.splitlines())}


def used(shell: Any) -> dict[str, dict[str, Any]]:
    """The output of `usage` for each batch, by its id."""
    return {one["batch"]: one for one in json.loads(shell.run("usage", "--by", "batch", "--json").stdout)}


@pytest.fixture
def fleet(cluster_shell: Any, redis_url: str, until: Any) -> Iterator[Any]:
    """Commands beside a fleet of two workers and a third worker outside Ray, which takes no core of Ray's."""
    shell = cluster_shell
    (shell.folder / "nightpress.toml").write_text(TOML)
    shell.start("work", "--workers", "1", "--model", "slow", "--model", "bad")
    with (shell.folder / "worker.log").open("w") as log:
        command = [sys.executable, "-c", ENTRY, redis_url]
        worker = subprocess.Popen(command, cwd=shell.folder, env=shell.env, stdout=log, stderr=log)
    queue = RedisQueue.from_url(redis_url, store=open_store(str(shell.folder / ".nightpress/store")))
    until(lambda: all(queue.snapshot(model).workers for model in ("slow", "bad", "flaky")), 120, "three workers")
    queue.close()
    assert len(json.loads(shell.run("status", "--json").stdout)["workers"]) == 3
    yield shell
    worker.kill()
    worker.wait()


def test_the_commands_of_an_operator(fleet: Any, until: Any) -> None:
    soft = soft_deadline(fleet, until)
    bad = breaker(fleet)
    flaky = failed_retry(fleet)
    replay(fleet, flaky)
    delete_and_sweep(fleet, soft, bad, flaky)
    assert "Traceback" not in fleet.logs()


def soft_deadline(shell: Any, until: Any) -> str:
    """Ready rows are published as round 1, all other rows as round 2. Published rows stay as they are, and each row is charged
    once.
    """
    store = open_store(str(shell.folder / ".nightpress/store"))
    batch = enqueue(shell, chats(ROWS, "slow"), "soft.jsonl", "--publish-at", "+5s", "--output-url", "delivered/")
    done = until(lambda: "done-1.json" in store.list(f"batches/{batch}"), 60, "round 1")
    assert done
    first = json.loads(store.read(f"batches/{batch}/done-1.json"))
    assert 0 < first["counts"]["completed"] < ROWS, "some rows must be ready, but not all"
    assert first["counts"]["expired"] == ROWS - first["counts"]["completed"]
    early = published_lines(shell, batch, first["folder"], "output.jsonl")
    waited = shell.run("wait", batch)
    assert waited.returncode == 0, waited.stderr + shell.logs()
    assert verify(store, batch) == []
    rows = output_of(shell, batch)
    assert list(rows) == list(range(ROWS))
    assert all(rows[row["row"]] == row for row in early), "published rows do not change"
    one = used(shell)[batch]
    assert (one["rows"], one["charge"]) == (ROWS, sum(row["usage"]["charge"] for row in rows.values()))
    until(lambda: store.exists(f"batches/{batch}/delivered-2.json"), 60, "the delivery")
    assert len((shell.folder / "delivered/output.jsonl").read_text().splitlines()) == ROWS
    return batch


def breaker(shell: Any) -> str:
    """A batch whose rows all fail pauses itself, says why, and continues after `resume`."""
    batch = enqueue(shell, chats(BAD, "bad"), "bad.jsonl")
    waited = shell.run("wait", batch)
    assert waited.returncode == 4
    assert "is paused: its first" in waited.stderr
    assert "generation_failed" in waited.stderr
    assert status_of(shell, batch)["state"] == "paused"
    assert status_of(shell, batch)["failed"] < BAD
    assert shell.run("resume", batch).returncode == 0
    waited = shell.run("wait", batch)
    assert (waited.returncode, status_of(shell, batch)["failed"]) == (1, BAD), waited.stderr + shell.logs()
    return batch


def failed_retry(shell: Any) -> str:
    """Each further round runs only the rows that failed, until all rows have completed. A round charges only for the rows that
    it completes.
    """
    store = open_store(str(shell.folder / ".nightpress/store"))
    post = {"kind": "social_post", "model": "flaky", "topic": "Tea", "platform": "mastodon"}
    batch = enqueue(shell, [post, *chats(40, "flaky", max_tokens=2)], "flaky.jsonl")
    before: dict[int, dict[str, Any]] = {}
    for round_ in range(1, 21):
        waited = shell.run("wait", batch)
        rows = output_of(shell, batch)
        assert waited.returncode == (0 if len(rows) == 41 else 1), waited.stderr + shell.logs()
        assert (verify(store, batch), status_of(shell, batch)["round"]) == ([], round_)
        assert all(rows[n] == row for n, row in before.items()), "completed rows do not change"
        folder = json.loads(store.read(f"batches/{batch}/done-{round_}.json"))["folder"]
        (ledger,) = published_lines(shell, batch, folder, "usage.json")
        new = [row["usage"]["charge"] for n, row in rows.items() if n not in before]
        assert (ledger["new"]["rows"], ledger["new"]["charge"]) == (len(new), sum(new))
        one = used(shell)[batch]
        assert (one["rows"], one["charge"]) == (len(rows), sum(row["usage"]["charge"] for row in rows.values()))
        if len(rows) == 41:
            assert round_ > 1, "the stub failed no row"
            return batch
        before = rows
        assert shell.run("failed", "retry", batch).returncode == 0
    raise AssertionError("twenty rounds were not enough")


def replay(shell: Any, batch: str) -> None:
    """A replay gives the same output. If a template has changed, the replay names the template and the text as different."""
    toml = shell.folder / "nightpress.toml"
    calm = TOML.replace("failure_rate = 0.3, ", "")
    toml.write_text(calm)
    charged = used(shell)[batch]
    same = shell.run("replay", batch, "0")
    assert (same.returncode, same.stdout) == (0, "row 0: the same output\n"), same.stderr
    (shell.folder / "mine").mkdir()
    (shell.folder / "mine/social_post_user.j2").write_text("Say something about {{ topic }}.")
    toml.write_text(f'templates_dir = "mine"\n{calm}')
    other = shell.run("replay", batch, "0")
    assert (other.returncode, other.stdout.splitlines()[0]) == (1, "row 0: another output"), other.stderr
    for line in ("differs: templates.post: ", "differs: output.text"):
        assert line in other.stdout
    assert used(shell)[batch] == charged
    toml.write_text(TOML)


def delete_and_sweep(shell: Any, *batches: str) -> None:
    """An open batch is never deleted, and the accounts keep the usage of deleted batches."""
    before = used(shell)
    shell_open = enqueue(shell, [{"kind": "chat", "model": "stub", "prompt": "Wait."}], "open.jsonl")
    assert shell.run("delete", shell_open, "--yes").returncode == 2
    assert shell.run("delete", batches[0], "--yes").returncode == 0
    swept = shell.run("sweep", "--older-than", "0h", "--yes")
    assert sorted(swept.stdout.split()) == sorted(batches[1:]), swept.stderr
    assert open_store(str(shell.folder / ".nightpress/store")).list("batches") == [shell_open]
    assert used(shell) == before
