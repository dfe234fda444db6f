"""Shows rows of a checked model from their file to results and accounts, with a worker and the stub engine."""

import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import verify
from jobs.checks.registry import load_checks
from jobs.client import Client
from jobs.commands import cli
from jobs.commands.session import Session
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.lanes.redis_queue import RedisQueue
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.conftest import wait_until
from workers.worker.worker import Worker, WorkerPlan

WORDS = [
    "the",
    "a",
    "quiet",
    "morning",
    "light",
    "over",
    "old",
    "harbour",
    "brings",
    "new",
    "readers",
    "to",
    "every",
    "page",
    "and",
    "small",
    "ideas",
    "grow",
    "into",
    "clear",
    "plans",
    "while",
    "writers",
    "press",
    "their",
    "words",
    "through",
    "night",
    "until",
    "each",
    "line",
    "stands",
    "ready",
    "for",
    "people",
    "who",
    "wait",
    "with",
    "open",
    "minds",
]
"""The words of which the stub makes its outputs."""
NONE = dict.fromkeys(load_checks(), "off")
"""Changes by which a row is judged by no check; all outputs of the stub are nonsense."""


def row(name: str, severity: str | None = None, model: str = "checked") -> dict[str, Any]:
    """A row with one check: whether the output has a word of the stub, and how bad that is."""
    found = {} if severity is None else {"forbidden_term": {"severity": severity, "terms": WORDS}}
    return {"custom_id": name, "kind": "chat", "prompt": "Hi", "model": model, "checks": {**NONE, **found}}


ROWS = [row("fit"), row("noted", "note"), row("review", "review"), row("broken", "fail"), row("plain", "fail", "stub")]


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    models = {"checked": {"engine": "stub", "checks": True}}
    return Settings(
        redis_url=redis_url, store_url=str(tmp_path / "store"), models=models, flush_s=0.02, log_level="error"
    )


def test_rows_are_judged_and_counted(settings: Settings, redis_url: str, tmp_path: Path) -> None:
    """A row of a model that is not checked completes without a verdict, whatever it says of checks."""
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(map(orjson.dumps, ROWS)))
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    accepted = accept_file(store, tmp_path / "rows.jsonl", IntakeOptions(), settings, "k")
    assert accepted.faults == []
    batch = accepted.batch.batch_id
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), settings.prices)
    workers = [Worker(WorkerPlan(f"w-{model}", model, redis_url, settings)) for model in ("checked", "stub")]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: (sweeper.sweep(), sweeper.published)[1], 60, "the batch to be published")
    finally:
        for worker, thread in zip(workers, threads, strict=True):
            worker.stop(1.0)
            thread.join(30)
        queue.close()
    with Client(settings) as client:
        verdicts = {one["custom_id"]: one.get("verdict") for one in client.results(batch)}
        (broken,) = client.results(batch, only="failed")
        (tally,) = client.usage("batch")[settings.prices.currency].values()
    assert verdicts == {"fit": "fit", "noted": "fit", "review": "review", "plain": None}
    assert (broken["custom_id"], broken["error"]["code"]) == ("broken", "forbidden_term")
    assert broken["rejected"]["text"]
    assert {one["severity"] for one in broken["findings"]} == {"fail"}
    assert (tally.rows, tally.fit, tally.review) == (4, 2, 1)
    assert verify(store, batch) == []
    assert cli.main(["wait", batch], Session(settings)) == 1
    assert cli.main(["wait", batch, "--accept-review"], Session(settings)) == 1, "a row failed"
