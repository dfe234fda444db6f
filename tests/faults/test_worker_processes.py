"""Workers as processes on a real server, and one fault in each test: a kill, a pause, a server that dies or forgets.

Every test ends the same way: whatever is left is worked off, the batch is published, and I1 to I6 hold.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from jobs.rounds import close
from tests.faults.worker_site import LANE, ROWS, Site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.mark.smoke
def test_a_worker_killed_in_mid_batch(site: Site) -> None:
    batch_id = site.submit()
    victim, _ = site.work(), site.work()
    site.at_least(batch_id, ROWS // 4)
    victim.kill()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_the_only_worker_killed_again_and_again(site: Site) -> None:
    batch_id = site.submit()
    for part in (1, 2, 3):
        victim = site.work()
        site.at_least(batch_id, part * ROWS // 5)
        victim.kill()
        victim.wait()
    site.work()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_a_worker_that_stood_still_past_its_lease_does_no_harm_when_it_goes_on(site: Site) -> None:
    batch_id = site.submit()
    sleeper = site.work()
    site.at_least(batch_id, ROWS // 5)
    sleeper.send_signal(signal.SIGSTOP)
    site.work()
    site.at_least(batch_id, ROWS // 2)
    sleeper.send_signal(signal.SIGCONT)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_the_server_killed_and_started_empty(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    site.server.kill()
    site.server.start()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_everything_wiped_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work(), site.work()
    site.at_least(batch_id, ROWS // 2)
    site.client.flushall()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


def test_scripts_flushed_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 2)
    site.client.script_flush()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_the_server_comes_back_as_it_was_before(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 5)
    keys: Any = site.client.keys("*")
    saved = {key: site.client.dump(key) for key in keys}
    site.at_least(batch_id, ROWS // 2)
    with site.client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in saved.items():
            if value is not None:
                pipe.restore(key, 0, value)
        pipe.execute()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "key", ["batches", "jobs", "payload", "ready", "delayed", "leased", "tenants", "meta", "counts"]
)
def test_a_single_key_evicted(site: Site, key: str) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    site.client.delete(f"np:1:{{{LANE}}}:{key}")
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_cancelled_at_half(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    close(site.store, batch_id, "cancelled")
    site.finish(batch_id)
    counts = site.counts(batch_id)
    assert counts["cancelled"] > 0
    assert counts["completed"] >= ROWS // 4


def test_the_store_moved_away_for_a_while(site: Site) -> None:
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    home = Path(site.store.url)
    home.rename(home.with_name("away"))
    site.until(lambda: "store.unavailable" in site.logs(), 30, "the worker to notice")
    if home.exists():  # a writer may have made the folder anew: nothing of it is a batch
        home.rename(home.with_name("stray"))
    home.with_name("away").rename(home)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
