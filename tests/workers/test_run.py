"""Shows workers/run.py, as far as it needs no Ray."""

from pathlib import Path

import orjson
import pytest
import redis

from jobs.batch import Batch, Done
from jobs.errors import NoBatch
from jobs.intake import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.open_batches import OpenBatches
from jobs.publish import publish
from jobs.redis_queue import RedisQueue
from jobs.retention import delete
from jobs.settings import Settings
from jobs.storage import Store
from jobs.sweep import Sweeper
from workers.run import Run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), redis_url="redis://127.0.0.1:1/0", model="stub")


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store.open(settings.store_url)


@pytest.fixture
def batch(store: Store, settings: Settings) -> Batch:
    """A batch of one row, which was refused: nothing is to be generated."""
    lines = [orjson.dumps({"kind": "chat"})]
    return accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch


def published(store: Store, batch: Batch, settings: Settings) -> Done:
    done = publish(store, batch.batch_id, prices=settings.prices)
    assert isinstance(done, Done)
    return done


def test_a_run_whose_batch_is_deleted_meanwhile_ends(
    store: Store, batch: Batch, settings: Settings, fake_client: redis.Redis
) -> None:
    batches = OpenBatches(store, frozenset([batch.batch_id]), scan_s=0.0)
    batches.scan()
    published(store, batch, settings)
    delete(store, batch.batch_id)
    sweeper = Sweeper(store, RedisQueue(fake_client), batches, settings.prices)
    with pytest.raises(NoBatch, match=batch.batch_id):
        Run(store, batch, settings)._swept(sweeper)
