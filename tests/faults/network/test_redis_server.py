"""Redis itself breaks: killed with what it kept on disk, with old or torn data, full, replaced by a replica that lags."""

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
"""How long rows are lost and retried on a full Redis."""
RESTARTS = 20
AWAY_S = 2.0
"""Much longer than a client tries: each claimer meets the fault."""
UP_S = 1.0
"""At least so long it stays: hearts, which look for it five times a second, renew the leases meanwhile."""
BACK_S = 5.0
"""So soon rows are claimed again; the figure itself is printed (`pytest -rP`)."""


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


def start(night: Premises) -> None:
    """Start the server again, and wait until it has read what it kept."""
    night.server.start()
    night.until(lambda: not night.client.info("persistence")["loading"], 60, "its data to be read")


@pytest.mark.smoke
def test_killed_with_all_that_it_kept(make_night: Callable[..., Premises], make_server: Callable[..., Server]) -> None:
    """It comes back with every lease, and nothing is done twice: rows take longer than a lease, and the heart beats on."""
    night = make_night(make_server(*AOF), stub={"step_s": 0.25}, more={"lease_s": 9.0})
    batch_id = night.submit(rows := 16, max_tokens=60)
    night.work()
    night.leased()
    night.server.kill()
    night.until(lambda: night.said("queue.unavailable") >= 2, 30, "the claimer and the heart to notice")
    night.server.start()
    assert night.outcomes(batch_id) < rows // 2, "it was not at work"
    assert night.finish(batch_id) == {"completed": rows}
    assert not list(night.events("job.rescued"))
    assert len(night.lines(batch_id)) == rows


@pytest.mark.parametrize("by_log", [True, False], ids=["from a copy of its log", "from a copy of its dump"])
def test_back_with_its_data_of_seconds_ago(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], folder: Path, by_log: bool
) -> None:
    """Rows that were settled since are there again, and rows that were fed since are not."""
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
    for worker in night.workers:  # what they feed would be taken for what was kept
        worker.send_signal(signal.SIGSTOP)
    shutil.rmtree(folder)
    saved.rename(folder)
    start(night)
    night.at_work(batch_id)
    assert night.client.exists("np:1:{stub}:payload"), "it came back empty"
    for worker in night.workers:
        worker.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": 2 * ROWS}


@pytest.mark.parametrize("kept", [0.5, 0.99], ids=["at half", "near its end"])
def test_its_log_is_torn(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], folder: Path, kept: float
) -> None:
    """The worker stands still as it comes back: else what it feeds would be taken for what was kept."""
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
    assert night.client.hlen("np:1:{stub}:payload") > 0, "it came back empty"
    worker.send_signal(signal.SIGCONT)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_full_it_takes_no_more_rows_and_lets_go_on_what_it_has(make_night: Callable[..., Premises]) -> None:
    """The worker finishes the rows of the window, says what is wrong, and is fed again when there is room."""
    night = make_night(more={"window_rows": 40}, stub={"step_s": 0.02})
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, 1)
    night.client.config_set("maxmemory-policy", "noeviction")
    night.client.config_set("maxmemory", 1)
    before = night.outcomes(batch_id)
    night.until(lambda: "is full (maxmemory)" in night.log("w0"), 60, f"the worker to say so: {night.logs()}")
    lane = night.until(night.idle, 60, f"the window to be worked off: {night.logs()}")
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
def test_its_disk_is_full(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """It answers and refuses to write. Workers and the doctor say what to do, and all goes on when there is room."""
    with small_disk(tmp_path / "disk", 32) as disk:
        night = make_night(make_server(*options, into=disk.folder), stub={"step_s": 0.02}, more={"lease_s": 3.0})
        batch_id = night.submit()
        night.work(), night.work()
        night.at_least(batch_id, ROWS // 8)
        disk.fill()
        night.until(lambda: night.said("queue.unavailable") >= 2, 60, f"the workers to say so: {night.logs()}")
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
        assert before < ROWS, "it was not at work"
        assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.timeout(900)
def test_full_it_does_not_grow_while_rows_are_lost_and_retried() -> None:
    """`FAULTS_FULL_MINUTES=10` does so for ten minutes."""
    if MINUTES is None:
        pytest.skip("takes minutes: FAULTS_FULL_MINUTES=10; tests/jobs/lanes/test_redis_queue.py has a short one")
    script = Path(__file__).parents[3] / "scripts/checks/full_redis.py"
    command = [sys.executable, str(script), "--minutes", MINUTES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_replica_that_lags_takes_its_place(
    make_night: Callable[..., Premises],
    make_server: Callable[..., Server],
    make_proxy: Callable[[int], Proxy],
    tmp_path: Path,
) -> None:
    """The leases and reports since then are unknown to it."""
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
    night.until(lambda: second.exists("np:1:{stub}:payload"), 60, "the replica to follow")
    wire.mode = "still"
    known = second.hlen("np:1:{stub}:payload")
    night.at_least(batch_id, rows - known + ROWS // 4)
    night.server.kill()
    wire.mode = "cut"
    second.replicaof("NO", "ONE")
    done = night.outcomes(batch_id)
    assert done < rows, "it was done before"
    assert second.hlen("np:1:{stub}:payload") > rows - done, "it does not lag"
    second.close()
    way.port = replica.port
    night.move_to(replica)
    assert night.finish(batch_id) == {"completed": rows}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("keeps", [False, True], ids=["and forgets", "and keeps all"])
def test_started_again_twenty_times_under_load(
    make_night: Callable[..., Premises], make_server: Callable[..., Server], keeps: bool
) -> None:
    """Rows that are in hand go on while it is away, and no claim does. After each start both workers must claim anew."""
    night = make_night(make_server(*(AOF if keeps else ())), stub={"step_s": 0.05}, more={"lease_s": 10.0})
    rows = 10 * ROWS
    batch_id = night.submit(rows)
    night.work(), night.work()
    night.at_least(batch_id, 1)

    def claims() -> set[str]:
        records: Any = night.client.hvals("np:1:{stub}:jobs")
        return {record.decode().split("|")[9] for record in records if record.startswith(b"l|")}

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
    print(f"both claimed again after {worst:.2f} s at most, {middle:.2f} s mostly; {left} were left")  # noqa: T201
    assert left > 0, "there was no load"
    assert middle <= BACK_S
    assert worst <= BACK_S + slack_s()
    night.configure(stub={})
    night.work(), night.work()
    assert night.finish(batch_id, timeout_s=200) == {"completed": rows}
