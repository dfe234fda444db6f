"""Tests faults of Redis itself: it is killed with its data on disk, comes back with old or torn data, is full, or is replaced
by a lagging replica.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.errors import QueueUnavailable
from tests.conftest import Server
from tests.faults.network.cut_network import Proxy
from tests.faults.premises import ROWS, Premises, slack_s
from tests.faults.storage.storage_faults import small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
AOF = ("--appendonly", "yes", "--appendfsync", "always")
MINUTES = os.environ.get("FAULTS_FULL_MINUTES")
"""For this many minutes, rows are lost and retried on a full Redis. If the variable is not set, that test is skipped."""
RESTARTS = 20
AWAY_S = 2.0
"""Seconds for which Redis is away. This is much longer than a client tries, so each claimer notices the fault."""
UP_S = 1.0
"""Seconds for which Redis stays up at least. In this time the heartbeats, which try five times a second, renew the leases."""
BACK_S = 5.0
"""Rows must be claimed again after at most this many seconds. The measured time is printed (`pytest -rP`)."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a server's data."""
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def make_server(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts Debian's server with the options that a test passes."""
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
    """The append-only file that grows with each command."""
    (found,) = (folder / "appendonlydir").glob("*.incr.aof")
    return found


def start(night: Premises) -> None:
    """Start the server again, and wait until it has loaded its data."""
    night.server.start()
    night.until(lambda: not night.client.info("persistence")["loading"], 60, "its data to be read")


@pytest.mark.smoke
def test_redis_killed_and_started_with_all_its_data(
    make_night: Callable[..., Premises], make_server: Callable[..., Server]
) -> None:
    """Redis comes back with every lease, and no row is done twice. Rows take longer than a lease, so the heartbeat must
    continue.
    """
    night = make_night(make_server(*AOF), stub={"step_s": 0.25}, more={"lease_s": 9.0})
    batch_id = night.submit(rows := 16, max_tokens=60)
    night.work()
    night.leased()
    night.server.kill()
    night.until(lambda: night.logged("queue.unavailable") >= 2, 30, "the claimer and the heartbeat to notice")
    night.server.start()
    assert night.outcomes(batch_id) < rows // 2, "no row was in hand"
    assert night.finish(batch_id) == {"completed": rows}
    assert not list(night.events("job.rescued"))
    assert len(night.lines(batch_id)) == rows


@pytest.mark.parametrize("by_log", [True, False], ids=["from a copy of its log", "from a copy of its dump"])
def test_redis_comes_back_with_data_of_seconds_ago(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], folder: Path, by_log: bool
) -> None:
    """Rows that were settled after the data was saved are on the queue again. Rows that were fed after that are not on the
    queue.
    """
    night = make_night(make_server(*(AOF if by_log else ("--dbfilename", "dump.rdb"))), stub={"step_s": 0.05})
    batch_id = night.submit(2 * ROWS)
    night.work(), night.work()
    night.at_least(batch_id, ROWS // 8)
    if not by_log:
        night.client.save()
    saved_at = time.monotonic()
    saved = folder.with_name("saved")
    shutil.copytree(folder, saved)
    before = night.outcomes(batch_id)
    night.until(lambda: time.monotonic() - saved_at >= 5, 30, "its data to be 5 s old")
    night.at_least(batch_id, before + 1)
    night.server.kill()
    for worker in night.workers:  # stopped: rows that they feed could be taken for restored rows
        worker.send_signal(signal.SIGSTOP)
    shutil.rmtree(folder)
    saved.rename(folder)
    start(night)
    night.at_work(batch_id)
    assert night.client.exists(night.key("payload")), "it came back empty"
    for worker in night.workers:
        worker.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": 2 * ROWS}


@pytest.mark.parametrize("kept", [0.5, 0.99], ids=["at half", "near its end"])
def test_the_log_of_redis_is_torn(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], folder: Path, kept: float
) -> None:
    """Half of the log, or nearly all of it, is kept. The worker stands still when Redis comes back, because the rows that it
    would feed could be taken for restored rows.
    """
    night = make_night(make_server(*AOF, "--aof-load-truncated", "yes"), stub={"step_s": 0.02})
    batch_id = night.submit()
    worker = night.work()
    night.at_least(batch_id, ROWS // 2)
    night.server.kill()
    worker.send_signal(signal.SIGSTOP)
    log = appended(folder)
    os.truncate(log, int(log.stat().st_size * kept))
    start(night)
    night.at_work(batch_id)
    assert night.client.hlen(night.key("payload")) > 0, "it came back empty"
    worker.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": ROWS}


def test_a_full_redis_takes_no_more_rows_and_rows_in_hand_continue(make_night: Callable[..., Premises]) -> None:
    """The worker finishes the rows of the window, logs the fault once, and is fed again when there is room."""
    night = make_night(more={"window_rows": 40}, stub={"step_s": 0.02})
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, 1)
    night.client.config_set("maxmemory-policy", "noeviction")
    night.client.config_set("maxmemory", 1)
    before = night.outcomes(batch_id)
    night.until(lambda: "is full (maxmemory)" in night.log("w0"), 60, f"the worker to log it: {night.logs()}")
    lane = night.until(night.idle, 60, f"the rows of the window to be finished: {night.logs()}")
    assert lane.workers, "the worker does not beat any more"
    assert before < night.outcomes(batch_id) < ROWS
    assert not list(night.events("job.rescued")), "beats were refused"
    assert night.log("w0").count("is full (maxmemory)") == 1
    night.client.config_set("maxmemory", 0)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--appendonly", "yes", "--appendfsync", "everysec"), id="no room for its log"),
        pytest.param(("--save", "1 1"), id="no room for its dump"),
    ],
)
def test_the_disk_of_redis_is_full(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Redis answers but refuses writes. Workers and `doctor` say what to do, and work continues when there is room."""
    with small_disk(tmp_path / "disk", 32) as disk:
        night = make_night(make_server(*options, into=disk.folder), stub={"step_s": 0.02}, more={"lease_s": 3.0})
        batch_id = night.submit()
        night.work(), night.work()
        night.at_least(batch_id, ROWS // 8)
        disk.fill()
        night.until(lambda: night.logged("queue.unavailable") >= 2, 60, f"the workers to log it: {night.logs()}")
        with pytest.raises(QueueUnavailable, match=r"cannot write to its own disk.*make room there") as raised:
            night.queue.check()
        assert "\n" not in str(raised.value)
        assert "cannot write to its own disk" in night.log("w0") + night.log("w1")
        doctor = night.command("doctor")
        assert "cannot write to its own disk" in doctor.stdout
        assert doctor.returncode == 3
        before = night.outcomes(batch_id)
        disk.clear()
        night.at_least(batch_id, before + 1)
        assert before < ROWS, "no rows were left"
        assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.timeout(900)
def test_a_full_redis_does_not_grow_while_rows_are_lost_and_retried() -> None:
    """This test runs only if FAULTS_FULL_MINUTES is set, and for that many minutes."""
    if MINUTES is None:
        pytest.skip("takes minutes: FAULTS_FULL_MINUTES=10; tests/jobs/lanes/test_redis_queue.py has a short one")
    script = Path(__file__).parents[3] / "scripts/checks/full_redis.py"
    command = [sys.executable, str(script), "--minutes", MINUTES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lagging_replica_takes_the_place_of_redis(
    make_night: Callable[..., Premises],
    make_server: Callable[..., Server],
    make_proxy: Callable[[int], Proxy],
    tmp_path: Path,
) -> None:
    """The replica does not know the leases and settlements that were made after its replication stopped."""
    rows = 2 * ROWS
    night = make_night(make_server(), stub={"step_s": 0.02})
    wire, way = make_proxy(night.server.port), make_proxy(night.server.port)
    (tmp_path / "replica").mkdir()
    replica = make_server("--replicaof", "127.0.0.1", str(wire.own_port), into=tmp_path / "replica")
    second = redis.Redis.from_url(replica.url)
    night.until(lambda: second.info("replication")["master_link_status"] == "up", 30, "the replica")
    batch_id = night.submit(rows, max_tokens=60)
    night.work(way.url)
    night.at_least(batch_id, ROWS // 5)
    night.until(lambda: second.exists(night.key("payload")), 60, "the replica to follow")
    wire.mode = "still"
    known = second.hlen(night.key("payload"))
    night.at_least(batch_id, rows - known + ROWS // 4)
    night.server.kill()
    wire.mode = "cut"
    second.replicaof("NO", "ONE")
    done = night.outcomes(batch_id)
    assert done < rows, "all rows were done before the fault"
    assert second.hlen(night.key("payload")) > rows - done, "the replica does not lag"
    second.close()
    way.port = replica.port
    night.move_to(replica)
    assert night.finish(batch_id) == {"completed": rows}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("keeps", [False, True], ids=["and forgets", "and keeps all"])
def test_redis_started_again_twenty_times_under_load(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], keeps: bool
) -> None:
    """While Redis is away, rows in hand continue, and claims fail. After each start both workers must claim again."""
    night = make_night(make_server(*(AOF if keeps else ())), stub={"step_s": 0.05}, more={"lease_s": 10.0})
    rows = 10 * ROWS
    batch_id = night.submit(rows)
    night.work(), night.work()
    night.at_least(batch_id, 1)

    def claims() -> set[str]:
        records: Any = night.client.hvals(night.key("jobs"))
        return {record.decode().split("|")[10] for record in records if record.startswith(b"l|")}

    def claimed_since(known: set[str]) -> bool:
        return {claim.partition("-")[0] for claim in claims() - known} == {"w0", "w1"}

    took = []
    for _ in range(RESTARTS):
        night.server.kill()
        killed = time.monotonic()
        night.until(lambda killed=killed: time.monotonic() - killed > AWAY_S)
        start(night)
        began, known = time.monotonic(), claims()
        night.until(lambda known=known: claimed_since(known), 60, f"the next claims: {night.logs()}")
        took.append(time.monotonic() - began)
        night.until(lambda began=began: time.monotonic() - began > UP_S)
    left = rows - night.outcomes(batch_id)
    worst, middle = max(took), statistics.median(took)
    print(f"both claimed again after {worst:.2f} s at most, {middle:.2f} s in the median; {left} rows were left")  # noqa: T201
    assert left > 0, "there was no load"
    assert middle <= BACK_S
    assert worst <= BACK_S + slack_s()
    night.configure(stub={})
    night.work(), night.work()
    assert night.finish(batch_id, timeout_s=200) == {"completed": rows}
