"""A browser without script over the gateway of these tests, and a gateway that has something to show."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.client import Client
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import GatewaySettings, Settings
from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import FrontDesk
from tests.support.gateway.showcase import Showcase, showcase

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.fixture
def browser(front_desk: FrontDesk) -> Browser:
    """A browser that has signed in with a key of the tenant `shop` that may do everything."""
    return Browser(front_desk).signed_in()


@pytest.fixture
def full_desk(shelf: Shelf, tmp_path: Path, fake_queue: RedisQueue) -> Iterator[FrontDesk]:
    """A gateway with a queue."""
    settings = Settings(
        store_url=str(tmp_path / "store"),
        cache_dir=tmp_path / "cache",
        model="stub",
        models={"stub": {"engine": "stub"}},
        gateway=GatewaySettings(file_bytes=1 << 20),
    )
    with Client(settings, queue=fake_queue, clock=shelf.clock, sleep=shelf.pass_s) as client:
        yield FrontDesk(shelf, client)


@pytest.fixture
def shown(full_desk: FrontDesk, fake_queue: RedisQueue) -> Showcase:
    """Batches in every state at the gateway that has a queue."""
    return showcase(full_desk, fake_queue)
