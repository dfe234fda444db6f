"""Redis itself breaks: killed with what it kept on disk, with old or torn data, full, replaced by a replica that lags."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import Server
from tests.faults.cut_network import Proxy
from tests.faults.worker_site import ROWS, Site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
AOF = ("--appendonly", "yes", "--appendfsync", "always")
MINUTES = os.environ.get("FAULTS_FULL_MINUTES")
"""How long rows are lost and retried on a full Redis."""
RESTARTS = 20
BACK_S = 5.0
SLACK_S = 10.0
"""What a machine that runs other things meanwhile may add; the figure itself is printed (`pytest -rP`)."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server keeps its data."""
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def make_server(folder: Path) -> Iterator[Callable[..., Server]]:
    """Debian's server, with what a test asks of it."""
    made: list[Server] = []

    def make(*options: str, into: Path = folder) -> Server:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server is not installed")
        made.append(Server(binary, into, *options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


def appended(folder: Path) -> Path:
    """The file that grows with each command."""
    (found,) = (folder / "appendonlydir").glob("*.incr.aof")
    return found


@pytest.mark.smoke
def test_killed_with_all_that_it_kept(make_site: Callable[..., Site], make_server: Callable[..., Server]) -> None:
    """It comes back with every lease, and nothing is done twice."""
    site = make_site(make_server(*AOF))
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 4)
    site.server.kill()
    site.server.start()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
    assert not list(site.events("job.rescued"))
    assert len(site.lines(batch_id)) == ROWS


@pytest.mark.parametrize("by_log", [True, False], ids=["from a copy of its log", "from a copy of its dump"])
def test_back_with_its_data_of_seconds_ago(
    make_site: Callable[..., Site], make_server: Callable[..., Server], folder: Path, by_log: bool
) -> None:
    """Rows that were settled since are there again, and rows that were fed since are not."""
    site = make_site(make_server(*(AOF if by_log else ("--dbfilename", "dump.rdb"))), step_s=0.05)
    batch_id = site.submit(2 * ROWS)
    site.work(), site.work()
    site.at_least(batch_id, ROWS // 8)
    if not by_log:
        site.client.save()
    saved_at = time.monotonic()
    saved = folder.with_name("saved")
    shutil.copytree(folder, saved)
    before = site.outcomes(batch_id)
    site.until(lambda: time.monotonic() - saved_at >= 5, 30, "its data to be 5 s old")
    site.at_least(batch_id, before + 1)
    site.server.kill()
    shutil.rmtree(folder)
    saved.rename(folder)
    site.server.start()
    assert site.client.exists("np:1:{stub}:payload"), "it came back empty"
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": 2 * ROWS}


@pytest.mark.parametrize("kept", [0.5, 0.99], ids=["at half", "near its end"])
def test_its_log_is_torn(
    make_site: Callable[..., Site], make_server: Callable[..., Server], folder: Path, kept: float
) -> None:
    site = make_site(make_server(*AOF, "--aof-load-truncated", "yes"))
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, ROWS // 2)
    site.server.kill()
    log = appended(folder)
    os.truncate(log, int(log.stat().st_size * kept))
    site.server.start()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_full_it_takes_no_more_rows_and_lets_go_on_what_it_has(make_site: Callable[..., Site]) -> None:
    """The worker finishes the rows of the window, says what is wrong, and is fed again when there is room."""
    site = make_site(more="window_rows = 40", step_s=0.02)
    batch_id = site.submit()
    site.work()
    site.at_least(batch_id, 1)
    site.client.config_set("maxmemory-policy", "noeviction")
    site.client.config_set("maxmemory", 1)
    before = site.outcomes(batch_id)
    site.until(lambda: "is full (maxmemory)" in site.log("w0"), 60, f"the worker to say so: {site.logs()}")
    lane = site.until(site.idle, 60, f"the window to be worked off: {site.logs()}")
    assert lane.workers, "the worker does not beat any more"
    assert before < site.outcomes(batch_id) < ROWS
    assert not list(site.events("job.rescued")), "beats were refused"
    assert site.log("w0").count("is full (maxmemory)") == 1
    site.client.config_set("maxmemory", 0)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.timeout(900)
def test_full_it_does_not_grow_while_rows_are_lost_and_retried() -> None:
    """`FAULTS_FULL_MINUTES=10` does so for ten minutes."""
    if MINUTES is None:
        pytest.skip("takes minutes: FAULTS_FULL_MINUTES=10; tests/jobs/test_redis_queue.py has a short one")
    script = Path(__file__).parents[2] / "scripts/fill_redis.py"
    command = [sys.executable, str(script), "--minutes", MINUTES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_replica_that_lags_takes_its_place(
    make_site: Callable[..., Site],
    make_server: Callable[..., Server],
    make_proxy: Callable[[int], Proxy],
    tmp_path: Path,
) -> None:
    """The leases and reports since then are unknown to it."""
    site = make_site(make_server(), step_s=0.02)
    wire, way = make_proxy(site.server.port), make_proxy(site.server.port)
    (tmp_path / "replica").mkdir()
    replica = make_server("--replicaof", "127.0.0.1", str(wire.own_port), into=tmp_path / "replica")
    second = redis.Redis.from_url(replica.url)
    site.until(lambda: second.info("replication")["master_link_status"] == "up", 30, "the replica")
    batch_id = site.submit()
    site.work(way.url)
    site.at_least(batch_id, ROWS // 5)
    site.until(lambda: second.exists("np:1:{stub}:payload"), 30, "the replica to follow")
    wire.mode = "still"
    known = second.hgetall("np:1:{stub}:batches"), second.hlen("np:1:{stub}:payload")
    site.at_least(batch_id, ROWS // 2)
    site.server.kill()
    wire.mode = "cut"
    second.replicaof("NO", "ONE")
    assert second.hlen("np:1:{stub}:payload") >= known[1]
    assert second.hlen("np:1:{stub}:payload") > ROWS // 2, "it does not lag"
    second.close()
    way.port = replica.port
    site.move_to(replica)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize("keeps", [False, True], ids=["and forgets", "and keeps all"])
def test_started_again_twenty_times_under_load(
    make_site: Callable[..., Site], make_server: Callable[..., Server], keeps: bool
) -> None:
    site = make_site(make_server(*(AOF if keeps else ())), step_s=0.02)
    rows = 8 * ROWS
    batch_id = site.submit(rows)
    site.work(), site.work()
    site.at_least(batch_id, 1)
    took = []
    for _ in range(RESTARTS):
        site.server.kill()
        site.server.start()
        began, before = time.monotonic(), site.segments(batch_id)
        site.until(lambda before=before: site.segments(batch_id) > before, 60, f"the next row: {site.logs()}")
        took.append(time.monotonic() - began)
    left = rows - site.outcomes(batch_id)
    worst, mean = max(took), sum(took) / RESTARTS
    print(f"rows came again after {worst:.2f} s at most, {mean:.2f} s in the mean; {left} were left")  # noqa: T201
    assert left > 0, "there was no load"
    assert worst <= BACK_S + SLACK_S
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": rows}
