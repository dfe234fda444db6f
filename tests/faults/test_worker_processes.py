"""Workers as processes on a real server, and one fault in each test: a kill, a pause, a server that dies or forgets.

Every test ends the same way: whatever is left is worked off, the batch is published, and I1 to I6 hold.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from jobs.rounds import close
from tests.faults.premises import LANE, ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.mark.smoke
def test_a_worker_killed_in_mid_batch(night: Premises) -> None:
    batch_id = night.submit()
    victim, _ = night.work(), night.work()
    night.at_least(batch_id, ROWS // 4)
    victim.kill()
    assert night.finish(batch_id) == {"completed": ROWS}


def test_the_only_worker_killed_again_and_again(night: Premises) -> None:
    batch_id = night.submit()
    for part in (1, 2, 3):
        victim = night.work()
        night.at_least(batch_id, part * ROWS // 5)
        victim.kill()
        victim.wait()
    night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_a_worker_that_stood_still_past_its_lease_does_no_harm_when_it_goes_on(night: Premises) -> None:
    batch_id = night.submit()
    sleeper = night.work()
    night.at_least(batch_id, ROWS // 5)
    sleeper.send_signal(signal.SIGSTOP)
    night.work()
    night.until(lambda: list(night.events("job.rescued")), 30, "its rows to be taken over")
    sleeper.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": ROWS}
    assert night.log("w0").count('"event": "lease.lost"') > 0, "it knows that it has lost them"


def test_the_server_killed_and_started_empty(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    night.server.kill()
    night.server.start()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_everything_wiped_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work(), night.work()
    night.at_least(batch_id, ROWS // 2)
    night.client.flushall()
    assert night.finish(batch_id) == {"completed": ROWS}


def test_scripts_flushed_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 2)
    night.client.script_flush()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_the_server_comes_back_as_it_was_before(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 5)
    keys: Any = night.client.keys("*")
    saved = {key: night.client.dump(key) for key in keys}
    night.at_least(batch_id, ROWS // 2)
    with night.client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in saved.items():
            if value is not None:
                pipe.restore(key, 0, value)
        pipe.execute()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "key",
    [
        *("batches", "jobs", "payload", "ready", "delayed", "leased", "tenants", "meta", "counts"),
        *("workers", "suspects", "crashed", "flights"),
    ],
)
@pytest.mark.parametrize("dies", [False, True], ids=["at half", "as a worker dies"])
def test_a_single_key_evicted(night: Premises, key: str, dies: bool) -> None:
    """Who dies has leases that somebody must find, also where the key that says when they run out is gone."""
    batch_id = night.submit()
    worker = night.work()
    night.at_least(batch_id, ROWS // 4)
    if dies:
        night.leased()
        worker.kill()
        worker.wait()
    night.client.delete(f"np:1:{{{LANE}}}:{key}")
    if dies:
        night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_cancelled_at_half(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    close(night.store, batch_id, "cancelled")
    counts = night.finish(batch_id)
    assert counts["cancelled"] > 0
    assert counts["completed"] >= ROWS // 4


def test_the_store_moved_away_for_a_while(night: Premises) -> None:
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 4)
    home = Path(night.store.url)
    home.rename(home.with_name("away"))
    night.hears("store.unavailable")
    assert not home.exists(), "an empty store was made in its place"
    home.with_name("away").rename(home)
    assert night.finish(batch_id) == {"completed": ROWS}
