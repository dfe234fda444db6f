"""Kills HTTP gateways at any moment between upload and batch: each submission becomes one batch, with nothing left over."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from jobs.client import Client
from jobs.settings import Settings
from jobs.submissions.keys import Keys
from jobs.submissions.tidying import tidy
from tests.conftest import free_port
from tests.support.gateway.front_desk import CHAT, chat_file

ROWS = 400
SECRET = "s" * 32
MOMENTS = [
    pytest.param(40, True, marks=pytest.mark.faults, id="forty"),
    pytest.param(2, False, marks=[pytest.mark.faults, pytest.mark.smoke], id="two"),
]
"""How many moments, and whether the processes that read files are killed too: their submissions wait a minute for the claim."""


@dataclass
class Gateway:
    """A process of `nightpress serve` at a port of its own, which is started again there after it was killed."""

    settings: Settings
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        environment = {
            **os.environ,
            "NIGHTPRESS_STORE_URL": self.settings.store_url,
            "NIGHTPRESS_CACHE_DIR": str(self.settings.cache_dir),
            "NIGHTPRESS_MODEL": "stub",
            "NIGHTPRESS_MODELS": '{"stub": {"engine": "stub"}}',
            "NIGHTPRESS_GATEWAY__SECRET": SECRET,
            "NIGHTPRESS_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-c", "import sys; from jobs.commands.cli import main; sys.exit(main())"]
        self.process = subprocess.Popen([*command, "serve", "--port", str(self.port)], env=environment)

    def kill(self, *, with_children: bool) -> None:
        """End the process with SIGKILL, and with it the processes that read files for it."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True) if with_children else []
        self.process.kill()
        self.process.wait()
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()  # an interrupt is ignored by what a shell started in the background, until it is set up
        self.process.wait(60)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        store_url=str(tmp_path / "store"),
        cache_dir=tmp_path / "cache",
        model="stub",
        models={"stub": {"engine": "stub"}},
    )


@pytest.fixture
def gateways(settings: Settings, until: Callable[..., Any]) -> Iterator[list[Gateway]]:
    made = [Gateway(settings), Gateway(settings)]
    for one in made:
        one.start()
    for one in made:
        until(lambda one=one: answers(one), 60, "the gateway")
    yield made
    for one in made:
        one.stop()


def answers(gateway: Gateway) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{gateway.port}/healthz", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


class Submitter(threading.Thread):
    """A client that tries each request until it is answered, at one gateway and then at the other."""

    def __init__(self, gateways: list[Gateway], headers: dict[str, str], key: str) -> None:
        super().__init__(daemon=True)
        self._gateways = gateways
        self._headers = headers
        self._key = key
        self.batch: dict[str, Any] = {}
        self.began = threading.Event()

    def run(self) -> None:
        files = {"file": (f"{self._key}.jsonl", chat_file(ROWS))}
        self.began.set()
        file_id = self._tried("POST", "/files", data={"purpose": "batch"}, files=files)["id"]
        body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h", "idempotency_key": self._key}
        batch_id = self._tried("POST", "/batches", json=body)["id"]
        while self.batch.get("status") in (None, "validating"):
            self.batch = self._tried("GET", f"/batches/{batch_id}")
            time.sleep(0.05)

    def _tried(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        turn = 0
        while True:
            gateway = self._gateways[turn % 2]
            turn += 1
            try:
                answer = httpx2.request(method, gateway.url + path, headers=self._headers, timeout=20, **options)
            except httpx2.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code < 500:
                assert answer.status_code == 200, answer.text
                return dict(answer.json())


@pytest.mark.parametrize(("moments", "with_children"), MOMENTS)
@pytest.mark.timeout(1_800)
def test_gateways_that_are_killed_at_any_moment_make_one_batch_of_each_submission(
    moments: int, with_children: bool, settings: Settings, gateways: list[Gateway], until: Callable[..., Any]
) -> None:
    client = Client(settings)
    _, key = Keys(client.store, SECRET.encode()).make("k", "shop", ["submit", "read"])
    chance = random.Random(7)
    submitters = []
    for moment in range(moments):
        one = Submitter(gateways, {"authorization": f"Bearer {key}"}, f"key-{moment}")
        submitters.append(one)
        one.start()
        one.began.wait()
        time.sleep(2.0 * moment / moments)  # the moment of the kill, from the upload on
        victim = gateways[moment % 2]
        victim.kill(with_children=with_children and chance.random() < 0.5)
        victim.start()
        one.join(150)  # a claim of a killed process lasts a minute
        assert not one.is_alive(), one.batch
    ids = {one.batch["nightpress"]["batch"] for one in submitters}
    assert [one.batch["status"] for one in submitters] == ["in_progress"] * moments
    assert len(ids) == moments
    assert set(client.batches()) == ids
    for batch_id in ids:
        status = client.status(batch_id)
        assert (status.rows, status.failed) == (ROWS, 0)
    until(lambda: client.store.list("submissions/pending") == [], 60, "all to be decided")
    tidy(client.store, lambda: client.clock().replace(year=client.clock().year + 1))
    assert client.store.list("submissions/claims") == []
    root = settings.cache_dir / "admissions"
    for folder in root.glob("*"):
        os.utime(folder, (0, 0))
    from jobs.submissions.scratch import sweep

    sweep(root)
    assert list(root.glob("*")) == []
