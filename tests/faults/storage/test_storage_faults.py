"""Tests a store that is full, read-only, slow or cut off, or that loses a reply, under worker processes on a real server.

Workers log the outage once, do no row twice, lose no row, and continue by themselves. No torn segment is ever seen: each
reading compares a segment with the hash in its name.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from jobs.batches.rounds import latest_done
from jobs.errors import StoreUnavailable
from jobs.store.opening import open_store
from tests.conftest import BUCKET
from tests.faults.premises import ROWS, Premises
from tests.faults.storage.storage_faults import Disk, Proxy, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
MIB = 8
LEASE_S = 5.0
"""The length of a lease, in seconds. Here no row may be done twice, so a lease must not run out while a worker waits for a
core.
"""
SILENT_S = 240
"""Within this many seconds, three tries of 15 s each find out that nothing answers, even on a busy machine."""
GONE_S = 60.0
"""Seconds for which the storage is cut off."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", MIB) as made:
        yield made


@pytest.fixture
def on_disk(disk: Disk, make_night: Callable[..., Premises]) -> Premises:
    """A night whose store is a small disk, and whose spool is not on it."""
    return make_night(store_url=str(disk.folder / "store"), more={"lease_s": LEASE_S})


@pytest.fixture
def proxy(s3_options: dict[str, str]) -> Iterator[Proxy]:
    """A proxy in front of the S3 server."""
    made = Proxy.before(s3_options["endpoint_url"])
    yield made
    made.close()


@pytest.fixture
def over_s3(proxy: Proxy, s3_options: dict[str, str], make_night: Callable[..., Premises]) -> Premises:
    """A night whose workers reach their store through the proxy. The test itself reaches the store directly."""
    url, options = f"s3://{BUCKET}/{uuid.uuid4().hex}", {**s3_options, "endpoint_url": proxy.url}
    made = make_night(store_url=url, store_options=options, more={"lease_s": LEASE_S})
    made.store = open_store(url, s3_options)
    return made


@pytest.mark.smoke
def test_a_full_store_is_waited_for(on_disk: Premises, disk: Disk) -> None:
    batch_id = on_disk.submit()
    worker = on_disk.work()
    on_disk.at_least(batch_id, ROWS // 5)
    disk.fill()
    on_disk.wait_for_log("store.unavailable")
    on_disk.wait_for_log("No space left on device")
    there = on_disk.outcomes(batch_id)
    on_disk.until(lambda: on_disk.lane().leased == ROWS - there, 90, "all other rows to wait for room")
    on_disk.outlast()
    assert on_disk.lane().leased == ROWS - there, "finished rows keep their leases"
    assert on_disk.outcomes(batch_id) == there < ROWS
    disk.clear()
    assert on_disk.finish(batch_id) == {"completed": ROWS}
    assert worker.poll() is None, "the worker continued by itself"
    assert {line.status for line in on_disk.lines(batch_id)} == {"completed"}, "no lease ran out meanwhile"
    assert len(on_disk.lines(batch_id)) == ROWS, "no row was done twice"
    assert not list(disk.folder.glob("store/batches/*/segments/.new-*")), "files that were begun are removed"


def test_a_read_only_store_is_waited_for(on_disk: Premises, disk: Disk) -> None:
    batch_id = on_disk.submit()
    worker = on_disk.work()
    on_disk.at_least(batch_id, ROWS // 5)
    disk.read_only()
    on_disk.wait_for_log("Read-only file system")
    there = on_disk.outcomes(batch_id)
    on_disk.until(lambda: on_disk.lane().leased == ROWS - there, 90, "all other rows to wait")
    on_disk.outlast()
    assert on_disk.lane().leased == ROWS - there, "finished rows keep their leases"
    assert on_disk.outcomes(batch_id) == there < ROWS
    disk.writable()
    assert on_disk.finish(batch_id) == {"completed": ROWS}
    assert worker.poll() is None
    assert {line.status for line in on_disk.lines(batch_id)} == {"completed"}, "no lease ran out meanwhile"
    assert len(on_disk.lines(batch_id)) == ROWS, "no row was done twice"


def test_a_publisher_without_room_leaves_nothing_half_done(on_disk: Premises, disk: Disk) -> None:
    batch_id = on_disk.submit()
    on_disk.work()
    on_disk.at_least(batch_id, ROWS)
    disk.fill()
    with pytest.raises(StoreUnavailable, match="No space left"):
        on_disk.sweep()
    assert latest_done(on_disk.store, batch_id) is None
    disk.clear()
    assert on_disk.finish(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize("silent", [pytest.param(False, id="refused"), pytest.param(True, id="silent")])
def test_a_cut_between_workers_and_storage(over_s3: Premises, proxy: Proxy, silent: bool) -> None:
    batch_id = over_s3.submit()
    worker = over_s3.work()
    over_s3.at_least(batch_id, ROWS // 5)
    assert over_s3.lane().leased > 0, "this client, too, knows the id of the store before the cut"
    cut_at = time.monotonic()
    proxy.cut(silent=silent)
    over_s3.wait_for_log("store.unavailable", SILENT_S if silent else 60)
    over_s3.until(lambda: time.monotonic() - cut_at > GONE_S, 120, "a minute")
    over_s3.at_work(batch_id)
    assert over_s3.lane().leased > 0, "finished rows keep their leases meanwhile"
    proxy.heal()
    assert over_s3.finish(batch_id) == {"completed": ROWS}
    assert worker.poll() is None
    assert {line.status for line in over_s3.lines(batch_id)} == {"completed"}
    assert len(over_s3.lines(batch_id)) == ROWS, "no row was done twice"


def test_a_store_that_takes_seconds_for_each_write_costs_no_lease(over_s3: Premises, proxy: Proxy) -> None:
    """Each write takes as long as three leases, but less than a client waits for an answer (15 s)."""
    over_s3.configure(more={"lease_s": 3.0})
    batch_id = over_s3.submit(rows := ROWS // 2)
    proxy.delay_s = 9.0
    over_s3.work()
    assert over_s3.finish(batch_id, timeout_s=300) == {"completed": rows}
    assert proxy.delayed >= 1
    assert [line.status for line in over_s3.lines(batch_id)] == ["completed"] * rows, "no lease ran out meanwhile"


@pytest.mark.smoke
def test_a_segment_is_created_and_the_reply_is_lost(over_s3: Premises, proxy: Proxy) -> None:
    batch_id = over_s3.submit()
    proxy.lose = b"/segments/"
    over_s3.work()
    assert over_s3.finish(batch_id) == {"completed": ROWS}
    (lost,) = proxy.lost
    assert b"/segments/" in lost
    assert b" 200 " in lost, "the server created the segment"
    assert len(over_s3.lines(batch_id)) == ROWS, "the rows of that segment were written once"
    assert over_s3.logged("store.unavailable") == 0, "the same bytes under the name mean success"


def test_a_store_that_deletes_nothing_costs_no_outcome(
    over_s3: Premises, proxy: Proxy, s3_options: dict[str, str]
) -> None:
    """S3 answers with status 200, and with an error for each file. The sweeper logs these errors once, and publishes
    the batch.
    """
    over_s3.configure(more={"lease_s": LEASE_S, "compact_segments": 2})
    over_s3.store = open_store(over_s3.store_url, over_s3.store_options)
    proxy.keeps = True
    batch_id = over_s3.submit()
    over_s3.work()
    over_s3.until(lambda: over_s3.segments(batch_id) > 1, 60, f"two segments: {over_s3.logs()}")
    with structlog.testing.capture_logs() as logs:
        assert over_s3.finish(batch_id) == {"completed": ROWS}
    (error,) = [log["error"] for log in logs if log["event"] == "store.delete_failed"]
    assert re.search(rf"cannot delete batches/{batch_id}/segments/.*: AccessDenied\. .*s3:DeleteObject", error)
    assert {line.status for line in over_s3.lines(batch_id)} == {"completed"}
    refused = over_s3.command("delete", batch_id, "--yes")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert re.search(r"nightpress: .*cannot delete .*: AccessDenied\. .*s3:DeleteObject", refused.stderr)
    assert "Traceback" not in refused.stderr
    assert latest_done(over_s3.store, batch_id) is not None, "nothing of the batch was deleted"
    proxy.keeps = False
    assert over_s3.command("delete", batch_id, "--yes").returncode == 0
    assert over_s3.store.list(f"batches/{batch_id}") == []
