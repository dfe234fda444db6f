"""The night for tests of one worker: a store in a folder, a queue on the imitation of Redis, and workers in threads."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.store.local import LocalStore
from jobs.store.store import Store
from tests.support.clocks import MovedClock
from tests.support.night import settings_of
from tests.support.worker_night import WorkerNight


@pytest.fixture
def make_night(tmp_path: Path, fake_client: redis.Redis) -> Iterator[Callable[..., WorkerNight]]:
    """Makes a night with these settings. It has a store of its own unless one is given; its workers are stopped at the end."""
    made: list[WorkerNight] = []

    def make(store: Store | None = None, clock: MovedClock | None = None, **settings: Any) -> WorkerNight:
        chosen = settings_of(**{"spool_dir": tmp_path / "spool", **settings})
        times: dict[str, Any] = {} if clock is None else {"now": clock.now, "monotonic": clock.monotonic}
        made.append(WorkerNight(store or LocalStore(str(tmp_path / "store")), fake_client, chosen, **times))
        return made[-1]

    yield make
    for night in made:
        night.stop()


@pytest.fixture
def night(make_night: Callable[..., WorkerNight]) -> WorkerNight:
    return make_night()
