"""A gateway over a store of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.client import Client
from jobs.settings import GatewaySettings, Settings
from tests.support.gateway.front_desk import FrontDesk

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.fixture
def front_desk(shelf: Shelf, tmp_path: Path) -> Iterator[FrontDesk]:
    """A gateway whose store and clock the test owns. It has no queue, and admits only when the test says so."""
    settings = Settings(
        store_url=str(tmp_path / "store"),
        cache_dir=tmp_path / "cache",
        model="stub",
        models={"stub": {"engine": "stub"}},
        gateway=GatewaySettings(file_bytes=1 << 20),
    )
    with Client(settings, clock=shelf.clock, sleep=shelf.pass_s) as client:
        yield FrontDesk(shelf, client)
