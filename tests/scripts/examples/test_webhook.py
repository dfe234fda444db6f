"""Shows that `scripts/examples/webhook.py` posts the result of a batch to a server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs import Client
from jobs.batches.rounds import close, pause
from jobs.settings import Settings

ROOT = Path(__file__).parents[3]


class Hook:
    """A server that answers each post with `status`, and keeps the posted bodies."""

    def __init__(self) -> None:
        self.status = 204
        self.posted: list[Any] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


def webhook(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/examples/webhook.py"), *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NIGHTPRESS_STORE_URL": "store"},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(Settings(store_url=str(tmp_path / "store"), model="stub"))


ROWS = [{"kind": "chat", "prompt": "Hi"}, {"kind": "chat"}]


def complete(client: Client) -> str:
    """A batch whose rows all have an outcome: one is refused, and the other is cancelled."""
    batch = client.enqueue(ROWS)
    close(client.store, batch.id, "cancelled")
    client.publish(batch)
    return batch.id


def test_the_counts_of_a_published_batch_are_posted(tmp_path: Path, client: Client, hook: Hook) -> None:
    batch_id = complete(client)
    ended = webhook(tmp_path, batch_id, hook.url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert hook.posted == [{"batch": batch_id, "event": "published", "rows": 2, "completed": 0, "failed": 1}]


@pytest.mark.parametrize("why", ["is not published yet", "is paused: all failed"])
def test_a_batch_that_does_not_end_is_posted_too(tmp_path: Path, client: Client, hook: Hook, why: str) -> None:
    batch = client.enqueue([{"kind": "chat", "prompt": "Hi"}])
    if "paused" in why:
        pause(client.store, client.results(batch).batch, "all failed")
    assert webhook(tmp_path, batch.id, hook.url, "--timeout", "0").returncode == 0
    (posted,) = hook.posted
    assert (posted["batch"], posted["event"]) == (batch.id, "unfinished")
    assert why in posted["message"]


def test_a_fault_is_one_line(tmp_path: Path, client: Client, hook: Hook) -> None:
    ended = webhook(tmp_path, "nothing", hook.url)
    assert (ended.returncode, ended.stderr.count("\n"), hook.posted) == (2, 1, [])
    hook.status = 500
    ended = webhook(tmp_path, complete(client), hook.url)
    assert (ended.returncode, ended.stderr.count("\n"), len(hook.posted)) == (1, 1, 1)
