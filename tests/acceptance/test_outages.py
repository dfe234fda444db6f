"""Shows what a command prints when Redis or the storage goes away: one line then, and one line when it is back."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.store.opening import open_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
SLOW = '[models.stub]\nengine = "stub"\noptions = { step_s = 0.05, slots = 4 }\n'
ROWS = 60


def chats(n: int) -> list[dict[str, Any]]:
    return [{"kind": "chat", "model": "stub", "prompt": f"Say {i}.", "max_tokens": 20} for i in range(n)]


def store_path(shell: Any) -> Path:
    path: Path = shell.folder / ".nightpress/store"
    return path


def segments(shell: Any) -> int:
    return len(list(store_path(shell).glob("batches/*/segments/*.jsonl")))


def ended(shell: Any, process: Any) -> int:
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the command does not end\n{shell.logs()}")
    assert "Traceback" not in shell.logs()
    return int(process.returncode)


def store_events(shell: Any) -> list[dict[str, Any]]:
    """The events about the store that the fleet itself logged, and none of its workers."""
    lines = [json.loads(line) for line in shell.logs().splitlines() if '"store.' in line and line.startswith("{")]
    return [line for line in lines if "worker" not in line]


def all_published(shell: Any) -> bool:
    store = open_store(str(store_path(shell)))
    (batch_id,) = store.list("batches")
    return verify(store, batch_id) == []


@pytest.mark.faults
def test_a_run_starts_its_server_again_and_goes_on(shell: Any, until: Any) -> None:
    shell.env["NIGHTPRESS_CACHE_DIR"] = str(shell.folder / "cache")
    (shell.folder / "nightpress.toml").write_text(SLOW)
    shell.rows(chats(ROWS))
    process = shell.start("run", "rows.jsonl", "--out", "out", "--workers", "1")
    until(lambda: segments(shell) >= 2, 120, "some rows")
    (record,) = shell.folder.glob("cache/servers/*/server.json")
    os.kill(json.loads(record.read_bytes())["pid"], signal.SIGKILL)
    assert ended(shell, process) == 0, shell.logs()
    events = [json.loads(line) for line in shell.logs().splitlines() if line.startswith("{")]
    messages = [event["message"] for event in events if event["event"].startswith("queue.") and "worker" not in event]
    assert len(messages) == 3, shell.logs()
    assert "no Redis is set" in messages[0]
    assert "does not answer" in messages[1]
    assert "Waiting for it" in messages[1]
    assert messages[2] == "Redis is back; going on"
    assert len((shell.folder / "out/output.jsonl").read_text().splitlines()) == ROWS
    assert all_published(shell)


@pytest.mark.faults
def test_work_waits_for_a_store_that_was_moved_away(cluster_shell: Any, until: Any) -> None:
    shell = cluster_shell
    (shell.folder / "nightpress.toml").write_text(SLOW)
    shell.rows(chats(ROWS))
    assert shell.run("enqueue", "rows.jsonl").returncode == 0
    process = shell.start("work", "--workers", "1", "--until-empty")
    until(lambda: segments(shell) >= 2, 120, "some rows")
    away = shell.folder / "away"
    store_path(shell).rename(away)
    until(lambda: [line["event"] for line in store_events(shell)] == ["store.unavailable"], 60, "the fleet's own event")
    assert process.poll() is None
    assert not store_path(shell).exists(), "an empty store was made in its place"
    away.rename(store_path(shell))
    assert ended(shell, process) == 0, shell.logs()
    assert [line["event"] for line in store_events(shell)] == ["store.unavailable", "store.back"]
    assert "is gone: put it back" in store_events(shell)[0]["message"]
    assert all_published(shell)


def test_enqueue_needs_no_redis_and_reports_that_it_is_away(cluster_shell: Any, redis_server: Any) -> None:
    shell = cluster_shell
    shell.rows(chats(3))
    redis_server.kill()
    enqueued = shell.run("enqueue", "rows.jsonl")
    assert enqueued.returncode == 0, enqueued.stderr
    assert enqueued.stdout.startswith("rows-")
    assert "workers find it when Redis is back" in enqueued.stderr.splitlines()[-1]
    assert "Traceback" not in enqueued.stderr
    redis_server.start()


@pytest.mark.parametrize("command", [("run", "rows.jsonl"), ("work",)], ids=["run", "work"])
def test_a_redis_that_was_never_there_is_reported_with_status_3(
    cluster_shell: Any, redis_server: Any, command: tuple[str, ...]
) -> None:
    """A command waits only for a Redis that has answered once, because the URL may be mistyped."""
    cluster_shell.rows(chats(3))
    redis_server.kill()
    tried = cluster_shell.run(*command)
    assert tried.returncode == 3
    assert "does not answer: start it" in tried.stderr.splitlines()[-1]
    assert "Traceback" not in tried.stderr
    redis_server.start()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("run", "rows.jsonl", "--out", "out", "--workers", "1"), id="run"),
        pytest.param(("work", "--workers", "1", "--until-empty"), id="work", marks=pytest.mark.faults),
    ],
)
def test_a_command_waits_for_a_redis_that_goes_away(
    cluster_shell: Any, redis_server: Any, until: Any, command: tuple[str, ...]
) -> None:
    """The command waits for Redis, which is the user's own server and comes back empty, and then publishes everything."""
    shell = cluster_shell
    (shell.folder / "nightpress.toml").write_text(SLOW)
    shell.rows(chats(ROWS))
    if command[0] == "work":
        assert shell.run("enqueue", "rows.jsonl").returncode == 0
    process = shell.start(*command)
    until(lambda: segments(shell) >= 2, 120, "some rows")
    redis_server.kill()
    until(lambda: "Waiting for it" in shell.logs(), 60, "the message of the outage")
    assert process.poll() is None
    redis_server.start()
    assert ended(shell, process) == 0, shell.logs()
    assert shell.logs().count("Waiting for it; it goes on by itself when Redis is back") == 1
    assert shell.logs().count("Redis is back; going on") == 1
    assert all_published(shell)
