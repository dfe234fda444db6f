"""Tests faults of the network between a worker and its Redis: lost replies, standstill, cuts, and a wire that is pulled out."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.lanes.redis_connection import TRIES
from tests.faults.network.cut_network import Mode, Proxy
from tests.faults.premises import EVEN, ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


LEASE_S = 5.0
"""The length of a lease, in seconds. It is much longer than a client's tries take, even if the worker has to wait for a core."""
ALL_SENT = 2 * TRIES
"""The number of replies to lose so that the client gives up twice: TRIES for a command, with all its repetitions, and TRIES for
the next command.
"""


@pytest.mark.parametrize(
    ("script", "times"),
    [
        pytest.param("claim", 1, id="of a claim", marks=pytest.mark.smoke),
        pytest.param("claim", ALL_SENT, id="of a claim and all its repetitions"),
        pytest.param("settle", 1, id="of a settle", marks=pytest.mark.smoke),
        pytest.param("settle", ALL_SENT, id="of a settle and all its repetitions"),
    ],
)
def test_a_lost_reply(
    make_night: Callable[..., Premises], make_proxy: Callable[[int], Proxy], script: str, times: int
) -> None:
    """The command was carried out. When it is sent again, it changes nothing: no row is lost, and none is done twice."""
    night = make_night(more={"lease_s": LEASE_S})
    proxy = make_proxy(night.server.port)
    batch_id = night.submit()
    worker = night.work(proxy.url)
    night.at_least(batch_id, ROWS // 5)
    proxy.lose_replies(night.sha(script), times)
    night.until(lambda: proxy.lost == times, 60, "the replies to be lost")
    assert night.finish(batch_id) == {"completed": ROWS}
    done_once(night, batch_id, ROWS)
    assert worker.poll() is None


def test_the_lost_replies_of_beats(make_night: Callable[..., Premises], make_proxy: Callable[[int], Proxy]) -> None:
    """Rows take two leases. So if the heartbeat does not continue after the lost replies, the leases run out."""
    night = make_night(stub={"step_s": 0.1}, more={"lease_s": LEASE_S})
    proxy = make_proxy(night.server.port)
    batch_id = night.submit(rows := 16, max_tokens=100, **EVEN)
    night.work(proxy.url)
    night.leased()
    proxy.lose_replies(night.sha("beat"), ALL_SENT)
    night.until(lambda: proxy.lost == ALL_SENT, 60, "the replies to be lost")
    assert night.outcomes(batch_id) <= rows // 2
    assert night.finish(batch_id) == {"completed": rows}
    done_once(night, batch_id, rows)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside another"])
def test_the_lost_replies_of_feeds(
    make_night: Callable[..., Premises], make_proxy: Callable[[int], Proxy], alone: bool
) -> None:
    """Another worker may claim and finish fed rows before the same feed is sent again."""
    night = make_night(more={"window_rows": 16, "lease_s": LEASE_S}, stub={"step_s": 0.0})
    proxy = make_proxy(night.server.port)
    # otherwise the lost reply would be NOSCRIPT, the reply for a script that the server does not know
    night.load("feed")
    proxy.lose_replies(night.sha("feed"), 10**6)
    batch_id = night.submit(rows := ROWS if alone else 5 * ROWS, max_tokens=2)
    night.work(proxy.url)
    night.until(lambda: proxy.lost >= ALL_SENT, 60, "replies to be lost")
    if not alone:
        night.work()
    assert night.finish(batch_id) == {"completed": rows}
    done_once(night, batch_id, rows)


def done_once(night: Premises, batch_id: str, rows: int) -> None:
    """Require that no lease ran out, and that no row was done twice."""
    assert not list(night.events("job.rescued"))
    assert len(night.lines(batch_id)) == rows


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("cut", id="connections end", marks=pytest.mark.smoke),
        pytest.param("still", id="nothing moves"),
    ],
)
def test_a_worker_cut_off_from_redis_past_its_leases(
    night: Premises, make_proxy: Callable[[int], Proxy], mode: Mode
) -> None:
    """Another worker takes the rows over. The worker that was cut off logs the outage once in each thread, and continues when
    the network is back.
    """
    proxy = make_proxy(night.server.port)
    batch_id = night.submit()
    night.work(proxy.url)
    night.at_least(batch_id, ROWS // 5)
    proxy.mode = mode
    night.until(lambda: "queue.unavailable" in night.log("w0"), 60, "the worker to notice")
    night.until(lambda: night.lane().leased == 0 or not night.lane().workers, 60, "the worker to be forgotten")
    reports = night.log("w0").count("does not answer")
    night.work()
    night.until(lambda: list(night.events("job.rescued")), 60, "its rows to be taken over")
    night.at_least(batch_id, ROWS // 2)
    proxy.mode = "open"
    assert night.finish(batch_id) == {"completed": ROWS}
    assert reports <= 3, night.log("w0")


def test_the_only_worker_cut_off_again_and_again(night: Premises, make_proxy: Callable[[int], Proxy]) -> None:
    proxy = make_proxy(night.server.port)
    batch_id = night.submit(4 * ROWS)
    night.work(proxy.url)
    for part in range(1, 9):
        night.at_least(batch_id, part * ROWS // 3)
        proxy.mode = "cut"
        night.until(lambda part=part: night.log("w0").count("queue.unavailable") >= part, 60, "the worker to notice")
        proxy.mode = "open"
    assert night.finish(batch_id) == {"completed": 4 * ROWS}


def test_all_workers_cut_off_past_their_leases(
    make_night: Callable[..., Premises], make_proxy: Callable[[int], Proxy]
) -> None:
    """The lane must not pause as it would if these workers had died. Each worker keeps its rows in hand, and continues with
    them.

    Some rows are done, so workers have room and claim as soon as they can. No row is ready. Otherwise a claim could lease a row
    and lose its reply, and no worker would know of the row.
    """
    deaths, in_hand = 3, 16
    night = make_night(stub={"step_s": 0.1}, more={"lease_s": 3.0, "pause_after_deaths": deaths})
    proxy = make_proxy(night.server.port)
    for _ in range(deaths):
        night.work(proxy.url)
    night.until(lambda: len(night.lane().workers) == deaths, 60, "all workers")
    batch_id = night.submit(rows := deaths * in_hand, max_tokens=100)
    night.until(lambda: _all_is_known(night, rows), 60, "some room, and each worker to report its rows in hand")
    assert all(one.running for one in night.lane().workers)
    proxy.mode = "cut"
    # the time counts from the last call of any worker, and not from the last renewal: a claim renews no lease
    night.outlast(1.5)
    assert _all_ran_out(night)
    assert night.outcomes(batch_id) < rows // 2
    proxy.mode = "open"
    assert night.finish(batch_id) == {"completed": rows}
    assert not list(night.events("lane.paused"))
    done_once(night, batch_id, rows)


def _all_is_known(night: Premises, rows: int) -> bool:
    lane = night.lane()
    return not lane.ready and 0 < lane.leased < rows and sum(one.running for one in lane.workers) == lane.leased


def _all_ran_out(night: Premises) -> bool:
    seconds, us = night.client.time()
    return night.client.zcount(night.key("leased"), seconds * 1000 + us // 1000, "+inf") == 0


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A network namespace: its name, the host's end of the wire to it, and the host's address on that wire."""
    ip = shutil.which("ip")
    if os.geteuid() != 0 or ip is None:
        pytest.skip("network namespaces need root and the command ip")
    number = os.getpid() % 64
    name, ours, theirs = f"np-{os.getpid()}", f"npa{os.getpid()}", f"npb{os.getpid()}"
    address, other = f"10.203.{number}.1", f"10.203.{number}.2"
    commands = (
        ("netns", "add", name),
        ("link", "add", ours, "type", "veth", "peer", "name", theirs),
        ("link", "set", theirs, "netns", name),
        ("addr", "add", f"{address}/30", "dev", ours),
        ("link", "set", ours, "up"),
        ("netns", "exec", name, ip, "addr", "add", f"{other}/30", "dev", theirs),
        ("netns", "exec", name, ip, "link", "set", theirs, "up"),
    )
    try:
        for command in commands:
            made = subprocess.run([ip, *command], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"this machine gives no network namespace: {made.stderr.strip()}")
        yield name, ours, address
    finally:
        for undo in (("link", "del", ours), ("netns", "del", name)):
            subprocess.run([ip, *undo], capture_output=True, check=False)


def test_the_wire_of_a_worker_pulled_out_and_put_back(
    night: Premises, make_proxy: Callable[[int, str], Proxy], namespace: tuple[str, str, str]
) -> None:
    """The kernel takes the wire down: packets vanish, and no connection ends."""
    name, wire, address = namespace
    proxy = make_proxy(night.server.port, address)
    batch_id = night.submit()
    night.work(proxy.url, under=("ip", "netns", "exec", name))
    night.at_least(batch_id, ROWS // 5)
    subprocess.run(["ip", "link", "set", wire, "down"], check=True)
    night.until(lambda: "queue.unavailable" in night.log("w0"), 60, "the worker to notice")
    night.work()
    night.until(lambda: list(night.events("job.rescued")), 60, "its rows to be taken over")
    night.at_least(batch_id, ROWS // 2)
    subprocess.run(["ip", "link", "set", wire, "up"], check=True)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.fixture(params=["answers nothing", "takes no connection"])
def black_hole(request: pytest.FixtureRequest, redis_server: Any, make_proxy: Callable[[int], Proxy]) -> Iterator[str]:
    """The URL of a Redis that never answers. It reads all requests and does not reply, or it does not even accept a
    connection.
    """
    if request.param == "answers nothing":
        proxy = make_proxy(redis_server.port)
        proxy.mode = "still"
        yield proxy.url
        return
    with socket.socket() as listener, contextlib.ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # these connections fill the backlog, so the kernel drops the packets of later clients
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.ray
@pytest.mark.parametrize("command", ["enqueue", "run", "work"])
def test_a_command_whose_redis_is_a_black_hole(
    make_night: Callable[..., Premises], black_hole: str, command: str
) -> None:
    """The command says at once what it waits for, and ends in time. `enqueue` accepts the batch all the same; `run` and `work`
    fail.
    """
    night = make_night()
    night.env["NIGHTPRESS_REDIS_URL"] = black_hole
    (night.folder / "rows.jsonl").write_text('{"kind": "chat", "prompt": "Say it."}\n')
    words = {"enqueue": ("enqueue", "rows.jsonl"), "run": ("run", "rows.jsonl", "--out", "out"), "work": ("work",)}
    ran = night.command(*words[command], timeout_s=60)
    waiting, ended = [line for line in ran.stderr.splitlines() if "Redis at 127.0.0.1" in line]
    assert "waiting for Redis at" in waiting
    assert "does not answer: start it" in ended == ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert ran.returncode == (0 if command == "enqueue" else 3)
    if command == "enqueue":
        assert "the batch is accepted already" in waiting
        assert "workers find it when Redis is back" in ended
        night.work()
        assert night.finish(ran.stdout.strip()) == {"completed": 1}


def test_enqueue_prints_its_batch_before_it_waits_for_redis(
    make_night: Callable[..., Premises], black_hole: str
) -> None:
    """A program that reads the output of `enqueue` gets the id while `enqueue` still waits."""
    night = make_night()
    night.env["NIGHTPRESS_REDIS_URL"] = black_hole
    night.env.pop("PYTHONUNBUFFERED", None)
    (night.folder / "rows.jsonl").write_text('{"kind": "chat", "prompt": "Say it."}\n')
    process = night.start("enqueue", "rows.jsonl")
    night.wait_for_log("rows-")
    assert night.logged("does not answer") == 0, "it waited before it printed the id"
    assert process.poll() is None
    night.wait_for_log("does not answer")
    assert process.wait(60) == 0
