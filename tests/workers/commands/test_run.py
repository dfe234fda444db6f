"""Shows workers/commands/run.py where no cluster is joined."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close, reopen, require_batch
from jobs.batches.segments.segment import write
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.errors import NoBatch, QueueUnavailable
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.row_history import request_of
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.support import outcomes
from workers.commands.run import Run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), redis_url="redis://127.0.0.1:1/0", model="stub")


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings.store_url)


@pytest.fixture
def batch(store: Store, settings: Settings) -> Batch:
    """A batch of one row, which is cancelled: nothing is to be generated."""
    lines = [orjson.dumps({"kind": "chat", "prompt": "Hi"})]
    made = accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
    close(store, made.batch_id, "cancelled")
    return made


def published(store: Store, batch: Batch, settings: Settings) -> Done:
    done = publish(store, batch.batch_id, prices=settings.prices)
    assert isinstance(done, Done)
    return done


def test_a_run_ends_if_its_batch_is_deleted_meanwhile(
    store: Store, batch: Batch, settings: Settings, fake_client: redis.Redis
) -> None:
    batches = OpenBatches(store, frozenset([batch.batch_id]), batch_scan_s=0.0)
    batches.scan()
    published(store, batch, settings)
    delete_batch(store, batch.batch_id)
    sweeper = Sweeper(store, RedisQueue(fake_client), batches, settings.prices)
    run = Run(store, batch, settings)
    with pytest.raises(NoBatch, match=batch.batch_id):
        run.supervisor.sweep(run, sweeper)


def test_a_batch_with_an_open_further_round_is_worked_on(store: Store, batch: Batch, settings: Settings) -> None:
    first = published(store, batch, settings)
    assert Run(store, batch, settings).until_published() == first
    reopen(store, batch.batch_id)
    with pytest.raises(QueueUnavailable):  # the run begins to work on the batch, which needs Redis
        Run(store, batch, settings).until_published()


def test_a_run_of_bad_rows_alone_makes_no_batch_and_starts_nothing(
    store: Store, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, session = tmp_path / "rows.csv", Session(settings)
    file.write_text("Title,Notes\nTea,x\n")
    words = ["run", str(file), "--kind", "article", "--map", "topic=Title"]
    assert main(words, session) == 2
    assert "1 x unknown_field (Notes), line 2: " in capsys.readouterr().err
    assert store.list("batches") == []
    assert main([*words, "--extra", "metadata"], session) == 3  # 3: the workers would need Redis
    assert len(store.list("batches")) == 1


def test_the_same_run_after_a_retry_is_not_reported_as_published(
    store: Store, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, session = tmp_path / "rows.jsonl", Session(settings)
    file.write_bytes(orjson.dumps({"kind": "chat", "prompt": "Hi"}))
    words = ["run", str(file), "--out", str(tmp_path / "out")]
    assert main(words, session) == 3
    (batch_id,) = store.list("batches")
    close(store, batch_id, "cancelled")
    assert isinstance(publish(store, batch_id, prices=settings.prices), Done)
    assert main(words, session) == 1
    assert "published already" in capsys.readouterr().out
    assert main(["failed", "retry", batch_id], session) == 0
    capsys.readouterr()
    assert main(words, session) == 3
    assert "published already" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "nightly"])
def test_the_tenant_and_what_rows_may_set_are_options(
    command: str, store: Store, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inbox" / "rows.jsonl"
    file.parent.mkdir()
    rows = [{"prompt": "a"}, {"prompt": "a", "tenant": "other"}, {"prompt": "a", "priority": 9}]
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    words = [command, str(file if command == "run" else file.parent), "--kind", "chat", "--tenant", "press"]
    assert main([*words, "--rows-may-set", "tenant"], Session(settings)) == 3  # 3: the workers would need Redis
    (batch_id,) = store.list("batches")
    batch = require_batch(store, batch_id)
    found = [request_of(store, batch, row) for row in range(3)]
    assert [one and one["tenant"] for one in found] == ["press", "other", None]
    capsys.readouterr()
    assert main([*words, "--rows-may-set", "seed"], Session(settings)) == 2
    assert "rows may set tenant and priority, and not 'seed'" in capsys.readouterr().err
    assert main([*words[:-1], "a b"], Session(settings)) == 2
    assert "--tenant 'a b': give it 1 to 64 letters" in capsys.readouterr().err


def test_a_preview_knows_what_rows_may_set(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(orjson.dumps({"prompt": "a", "tenant": "other"}))
    words = ["preview", str(file), "--kind", "chat"]
    assert main(words, Session(settings)) == 1
    assert main([*words, "--rows-may-set", "tenant"], Session(settings)) == 0
    assert main([*words, "--tenant", "other"], Session(settings)) == 0
    assert "not_allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdicts", "args", "setting", "status"),
    [
        pytest.param(["fit", "fit"], [], False, 0, id="all fit"),
        pytest.param(["fit", "review"], [], False, 1, id="one for review"),
        pytest.param(["fit", "review"], ["--accept-review"], False, 0, id="accepted"),
        pytest.param(["fit", "review"], [], True, 0, id="accepted by the settings"),
        pytest.param(["fit", "failed"], ["--accept-review"], True, 1, id="one failed"),
    ],
)
def test_a_run_ends_well_only_if_all_rows_can_be_published(
    store: Store,
    settings: Settings,
    tmp_path: Path,
    *,
    verdicts: list[Any],
    args: list[str],
    setting: bool,
    status: int,
) -> None:
    file, session = tmp_path / "rows.jsonl", Session(settings.model_copy(update={"accept_review": setting}))
    file.write_bytes(b"\n".join([orjson.dumps({"kind": "chat", "prompt": "Hi"})] * 2))
    words = ["run", str(file), "--out", str(tmp_path / "out"), *args]
    assert main(words, session) == 3  # 3: the workers would need Redis
    (batch_id,) = store.list("batches")
    lines = [
        outcomes.failed(row) if verdict == "failed" else outcomes.completed(row, verdict=verdict)
        for row, verdict in enumerate(verdicts)
    ]
    write(store, BatchPaths(batch_id), lines, "w", "i", 1)
    assert isinstance(publish(store, batch_id, prices=settings.prices), Done)
    assert main(words, session) == status
