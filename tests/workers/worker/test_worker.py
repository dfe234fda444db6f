"""Shows workers/worker/worker.py: a worker put together from settings, without Ray."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.outcome_index import OutcomeIndex
from jobs.errors import ModelUnavailable
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.lanes.protocol import WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.identity import make_id
from jobs.store.opening import open_store
from workers.engines.registry import Loaded, load
from workers.worker.runner import Runner
from workers.worker.worker import Worker, WorkerPlan


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), model="stub", flush_s=0.05, batch_scan_s=0.1, log_level="error")


def test_a_worker_does_its_rows_and_shows_its_status_and_stops(
    settings: Settings, tmp_path: Path, redis_url: str, until: Callable[..., Any]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "chat", "prompt": "Hi?"}\n' * 20)
    store = open_store(settings.store_url)
    batch = accept_file(store, path, IntakeOptions(), settings, "k").batch
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    status = worker.status()
    assert (status["worker"], status["model"], status["running"], status["engine"]) == ("w-1", "stub", 0, {})
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(worker.run()))
    thread.start()
    index = OutcomeIndex(store, batch)

    def all_done() -> bool:
        index.refresh()
        return index.missing == 0

    until(all_done, 20, "twenty rows")
    status = worker.status()
    assert status["engine"]["completion_tokens"] > 0
    assert status["load_s"] >= 0
    worker.stop(1.0)
    thread.join(20)
    assert not thread.is_alive()
    assert "load_s" in ended[0]


def test_a_worker_that_is_stopped_before_it_has_loaded_does_nothing(settings: Settings, redis_url: str) -> None:
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    worker.stop(0.0)
    assert "load_s" in worker.run()


@pytest.mark.parametrize("leaves", [False, True])
def test_a_worker_that_is_stopped_before_it_begins_loads_nothing(
    leaves: bool, settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.worker.worker.load", lambda *_: pytest.fail("it loads a model"))
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    if leaves:
        worker.leave("its node drains", 0.0)
    else:
        worker.stop(0.0)
    assert worker.run().get("left") == ("its node drains" if leaves else None)


def test_a_worker_that_is_stopped_while_its_model_loads_ends_its_process(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load may take minutes, and the worker holds no row."""
    loads, stopped, ended = threading.Event(), threading.Event(), list[int]()

    def end_process(status: int) -> None:
        ended.append(status)
        stopped.set()

    def slow(*args: Any) -> Loaded:
        loads.set()
        assert stopped.wait(20), "the process was not ended"
        return load(*args)

    monkeypatch.setattr("workers.worker.worker.load", slow)
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings), end_process)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert loads.wait(20)
    worker.leave("its process was told to end", 5.0)
    assert not worker.wait_loaded(), "nobody waits any longer for the model"
    thread.join(30)
    assert (ended, thread.is_alive()) == ([0], False)


def test_a_worker_shows_no_load_time_before_it_drains_when_it_is_stopped(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees a load time may stop the worker, and is told that it ended, not that it was stopped while it was loading."""
    seen = list[Any]()

    def runner(*args: Any, **named: Any) -> Runner:
        seen.append(worker.status())
        return Runner(*args, **named)

    monkeypatch.setattr("workers.worker.worker.Runner", runner)
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert worker.wait_loaded()
    shown = worker.status()
    worker.stop(0.0)
    thread.join(20)
    assert ["load_s" in one for one in (*seen, shown)] == [False, True]
    assert worker.left_while_loading is None


def test_a_worker_that_leaves_says_why(settings: Settings, redis_url: str) -> None:
    worker, ended = Worker(WorkerPlan("w-1", "stub", redis_url, settings)), list[Any]()
    thread = threading.Thread(target=lambda: ended.append(worker.run()))
    thread.start()
    assert worker.wait_loaded()
    worker.leave("its process was told to end", 1.0)
    thread.join(20)
    assert ended[0]["left"] == "its process was told to end"


def test_a_longer_drain_does_not_replace_a_shorter_one(settings: Settings, redis_url: str) -> None:
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    worker.stop(0.0)
    worker.stop(20.0)
    assert worker._stop_drain_s == 0.0


def test_a_model_that_is_not_there_is_an_error(settings: Settings, redis_url: str, tmp_path: Path) -> None:
    models = {"gone": {"source": str(tmp_path / "nowhere")}}
    plan = WorkerPlan("w-1", "gone", redis_url, Settings(**{**settings.model_dump(), "models": models}))
    with pytest.raises(ModelUnavailable):
        Worker(plan).run()


def test_the_queue_of_the_store_shows_that_a_model_is_loaded(
    settings: Settings, redis_url: str, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(settings.store_url)
    make_id(store)
    queue = RedisQueue.from_settings(settings, store, redis_url)
    shown: list[WorkerRecord] = []

    def load(*_: object) -> Loaded:
        until(lambda: queue.snapshot("stub").workers, 20, "the worker to be shown")
        shown.extend(queue.snapshot("stub").workers)
        raise ModelUnavailable("gone")

    monkeypatch.setattr("workers.worker.worker.load", load)
    with pytest.raises(ModelUnavailable):
        Worker(WorkerPlan("w-1", "stub", redis_url, settings, node="node-1")).run()
    assert [(one.worker, one.node, one.loading_s is None) for one in shown] == [("w-1", "node-1", False)]
    assert queue.snapshot("stub").workers == []
    queue.close()


def test_an_engine_that_fails_ends_the_process(
    settings: Settings, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "chat", "prompt": "guilty"}\n')
    models = {"stub": {"engine": "stub", "options": {"faults": {"guilty": "out_of_memory"}}}}
    settings = Settings(**{**settings.model_dump(), "models": models, "log_level": "error"})
    accept_file(open_store(settings.store_url), path, IntakeOptions(), settings, "k")
    ended: list[int] = []
    with pytest.raises(MemoryError):
        Worker(WorkerPlan("w-1", "stub", redis_url, settings), ended.append).run()
    assert ended == [1]
    assert "worker.failed" in capsys.readouterr().err


def test_a_plan_shows_no_password(settings: Settings) -> None:
    assert "s3cret" not in repr(WorkerPlan("w-1", "stub", "redis://:s3cret@queue:6379/0", settings))
