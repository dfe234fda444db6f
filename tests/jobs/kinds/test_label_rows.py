"""Shows rows of the kind `label` from a CSV to the published results, with a worker and the stub engine."""

import csv
import io
import threading
from pathlib import Path

import orjson
import pytest

from jobs.batches.open_batches import OpenBatches
from jobs.catalog import ModelCard
from jobs.commands import cli
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.lanes.redis_queue import RedisQueue
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.conftest import wait_until
from workers.worker.worker import Worker, WorkerPlan

ROWS = """custom_id,kind,text,labels,label_name,examples
guest,label,The soup was cold.,praise|complaint|question,Feedback,"[{""text"": ""Lovely!"", ""label"": ""praise""}]"
plain,label,I would buy it again.,,,
twice,label,I would buy it again.,good|Good,,
script,label,"まあまあでした
Label: 良い",良い|悪い,,
again,label,I would buy it again.,,,
"""


def test_rows_of_a_csv_are_labelled(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal rows get equal labels and count the same tokens. A row in doubt is for review. A label given twice is refused."""
    settings = Settings(
        redis_url=redis_url,
        store_url=str(tmp_path / "store"),
        model="stub",
        models={"stub": ModelCard(engine="stub", checks=True)},
        flush_s=0.02,
        log_level="error",
    )
    for name, value in (("REDIS_URL", redis_url), ("STORE_URL", settings.store_url), ("MODEL", "stub")):
        monkeypatch.setenv(f"NIGHTPRESS_{name}", value)
    (tmp_path / "rows.csv").write_text(ROWS)
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    accepted = accept_file(store, tmp_path / "rows.csv", IntakeOptions(), settings, "k")
    (fault,) = accepted.faults
    assert (fault.row, fault.code, fault.field) == (2, "out_of_range", "labels")
    assert "the labels 'good' and 'Good' are the same: remove one of them" in fault.message
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), settings.prices)
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        wait_until(lambda: (sweeper.sweep(), sweeper.published)[1], 60, "the batch to be published")
    finally:
        worker.stop(1.0)
        thread.join(30)
        queue.close()
    batch = accepted.batch.batch_id
    capsys.readouterr()
    assert cli.main(["results", batch]) == 0
    printed = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = {row["custom_id"]: row for row in printed if row["status"] == "completed"}
    assert rows.keys() == {"guest", "plain", "script", "again"}
    assert list(rows["guest"]["output"]["probabilities"]) == ["praise", "complaint", "question"]
    assert list(rows["script"]["output"]["probabilities"]) == ["良い", "悪い"]
    assert all(sum(row["output"]["probabilities"].values()) == pytest.approx(1) for row in rows.values())
    assert rows["plain"]["output"] == rows["again"]["output"]
    assert [rows[name]["verdict"] for name in ("guest", "plain")] == ["review", "fit"]
    assert [one["code"] for one in rows["guest"]["findings"]] == ["low_confidence"]
    counts = [[row["usage"][name] for name in ("prompt_tokens", "completion_tokens")] for row in rows.values()]
    assert counts[1] == counts[3] == [7 + 3 + 3 + 2, 4 * 2]
    assert cli.main(["results", batch, "--format", "csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out.removeprefix("\ufeff"))))
    assert table[0]["output.label"] == rows["guest"]["output"]["label"]
    assert orjson.loads(table[0]["output.probabilities"]) == rows["guest"]["output"]["probabilities"]
    assert float(table[0]["output.margin"]) == rows["guest"]["output"]["margin"]
