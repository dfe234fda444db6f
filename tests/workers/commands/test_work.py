"""Shows workers/commands/work.py where no cluster is joined."""

from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close
from jobs.errors import RequestError, StoreUnavailable
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.status_reader import StatusReader
from jobs.publishing.publish import publish
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.commands.work import Work, known, log_progress


def test_the_log_has_the_progress_of_a_batch_and_none_of_its_content(tmp_path: Path) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub")
    store = open_store(settings.store_url)
    lines = [orjson.dumps({"kind": "chat", "prompt": "a secret"}), b"{"]
    made = accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k")
    with capture_logs() as logs:
        log_progress(StatusReader(store), [made.batch.batch_id])
    assert logs == [
        {
            "event": "batch.progress",
            "log_level": "info",
            "batch": made.batch.batch_id,
            "state": "open",
            "rows": 2,
            "completed": 0,
            "failed": 1,
            "rows_per_s": 0.0,
            "tokens_per_s": 0.0,
            "expected_end": None,
        }
    ]


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"unknown model 'gone': the known ones are .*stub"):
        known("gone", Settings())


def test_the_progress_of_a_batch_that_was_deleted_is_left_out(tmp_path: Path) -> None:
    with capture_logs() as logs:
        log_progress(StatusReader(open_store(str(tmp_path))), ["gone-1"])
    assert logs == []


@pytest.mark.parametrize("healthy", [0, 2])
def test_a_damaged_batch_counts_as_open_and_is_named_with_a_remedy(
    tmp_path: Path, fake_queue: RedisQueue, healthy: int
) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub")
    store = open_store(settings.store_url)
    line = orjson.dumps({"kind": "chat", "prompt": "Say."})
    ids = [
        accept(store, [line], IntakeOptions(), kinds=load_kinds(), settings=settings, run_key=f"{n}").batch.batch_id
        for n in range(healthy + 1)
    ]
    store.create(BatchPaths(ids[0]).closed(1), b"\xff\xff")
    sweeper = Sweeper(store, fake_queue, OpenBatches(store, batch_scan_s=0.0), settings.prices)
    work = Work(settings)
    with capture_logs() as logs:
        found = [work.supervisor.sweep(work, sweeper) for _ in range(3)]
    assert all(found), "so that the log has the progress of the others, and no fleet ends before they are done"
    (log,) = [log for log in logs if log["event"].startswith(("store.", "queue."))]
    assert log["event"] == "store.damaged"
    assert "Restore it from a backup" in log["message"]


@pytest.mark.parametrize(
    ("until_empty", "place", "interrupts", "refused"),
    [
        pytest.param(True, "taken.jsonl/out.jsonl", 0, True, id="not delivered"),
        pytest.param(True, "out.jsonl", 0, False, id="delivered"),
        pytest.param(False, "taken.jsonl/out.jsonl", 0, False, id="a fleet that goes on until it is interrupted"),
        pytest.param(True, "taken.jsonl/out.jsonl", 1, False, id="interrupted"),
    ],
)
def test_a_fleet_that_ends_when_all_is_done_says_which_outputs_are_not_at_their_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until_empty: bool, place: str, interrupts: int, refused: bool
) -> None:
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    (tmp_path / "taken.jsonl").write_bytes(b"a file, and no folder")
    store, url = open_store(settings.store_url), str(tmp_path / place)
    options = IntakeOptions(output_url=url)
    lines = [orjson.dumps({"kind": "chat", "prompt": "Hi"})]
    made = accept(store, lines, options, kinds=load_kinds(), settings=settings, run_key="k").batch
    close(store, made.batch_id, "cancelled")
    job = Work(settings, until_empty=until_empty)

    def publish_all(_: Work) -> None:
        publish(store, made.batch_id, prices=settings.prices)
        if interrupts:
            job.interrupt()
        job.supervisor.after_sweep(True)

    monkeypatch.setattr(job.supervisor, "run", publish_all)
    if refused:
        with pytest.raises(StoreUnavailable, match=f"have not been taken to .*: {made.batch_id} to {url}"):
            job.run()
    else:
        job.run()
    assert store.list("undelivered") == ([made.batch_id] if "taken" in place else [])
