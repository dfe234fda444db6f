"""Clocks that are wrong: Redis' own, which jumps while rows are in hand, and a worker's.

Leases and delays are kept in Redis' time, so a worker's clock decides nothing; and a jump of Redis' clock costs at most work.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.faults.worker_site import ROWS, Site
from tests.faults.wrong_clock import Clock

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
HOUR_S = 3600


@pytest.fixture
def moved_site(make_site: Callable[..., Site], clock: Clock, tmp_path: Path) -> Iterator[Site]:
    """Over a server that runs by the clock of the test."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    server = Server(clock.wrapped(binary), tmp_path)
    yield make_site(server)
    server.kill()


def true_time(site: Site) -> float:
    """How far the server's clock is off, in seconds."""
    seconds, _ = site.client.time()
    return abs(seconds - datetime.now(UTC).timestamp())


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(1, id="an hour ahead", marks=pytest.mark.smoke),
        pytest.param(-1, id="an hour behind"),
    ],
)
def test_the_clock_of_redis_jumps(moved_site: Site, clock: Clock, hours: int) -> None:
    """All leases run out at once, or not for an hour: the worker that lives keeps what it has."""
    site = moved_site
    batch_id = site.submit()
    site.work(), site.work()
    site.at_least(batch_id, ROWS // 4)
    clock.move(hours * HOUR_S)
    assert true_time(site) > HOUR_S - 60
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize("hours", [1, -1], ids=["an hour ahead", "an hour behind"])
def test_the_clock_of_redis_jumps_as_a_worker_dies(moved_site: Site, clock: Clock, hours: int) -> None:
    """Its rows wait for no hour."""
    site = moved_site
    site.configure(step_s=0.02)
    batch_id = site.submit()
    victim = site.work()
    site.at_least(batch_id, ROWS // 4)
    site.leased()
    victim.kill()
    clock.move(hours * HOUR_S)
    site.work()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize("hours", [1, -1], ids=["an hour ahead", "an hour behind"])
def test_the_clock_of_a_worker_is_wrong(make_site: Callable[..., Site], clock: Clock, hours: int) -> None:
    """Beside one whose clock is right, and with a deadline that its own clock says is over."""
    site = make_site()
    clock.move(hours * HOUR_S)
    batch_id = site.submit(deadline=datetime.now(UTC) + timedelta(minutes=30))
    site.work(env=clock.env)
    site.at_least(batch_id, ROWS // 4)
    site.work()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
    (started, *_) = [event for event in site.events("worker.started") if event["worker"].startswith("w0")]
    off = datetime.fromisoformat(started["timestamp"]) - datetime.now(UTC)
    assert abs(off) > timedelta(minutes=50), "its clock was right"
