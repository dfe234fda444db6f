"""What the network does to a worker and its Redis: it loses replies, stands still, is cut, and cut off by the kernel."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.redis_queue import TRIES
from tests.faults.cut_network import Mode, Proxy
from tests.faults.worker_site import ROWS, Site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    ("script", "times"),
    [
        pytest.param("claim", 1, id="of a claim", marks=pytest.mark.smoke),
        pytest.param("claim", 2 * TRIES, id="of a claim, and of all that were sent again"),
        pytest.param("settle", 1, id="of a settle", marks=pytest.mark.smoke),
        pytest.param("settle", 2 * TRIES, id="of a settle, and of all that were sent again"),
        pytest.param("beat", 2 * TRIES, id="of a beat, and of all that were sent again"),
        pytest.param("feed", 2 * TRIES, id="of a feed, and of all that were sent again"),
    ],
)
def test_a_lost_reply(site: Site, make_proxy: Callable[[int], Proxy], script: str, times: int) -> None:
    """The command was carried out. Sent again it changes nothing: no row is lost to anyone, and none is done twice."""
    proxy = make_proxy(site.server.port)
    if script == "feed":
        proxy.lose_replies(site.sha(script), times)
    batch_id = site.submit()
    site.work(proxy.url)
    if script != "feed":
        site.at_least(batch_id, ROWS // 5)
        proxy.lose_replies(site.sha(script), times)
    site.until(lambda: proxy.lost == times, 60, "the replies to be lost")
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
    assert not list(site.events("job.rescued"))
    assert len(site.lines(batch_id)) == ROWS


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("cut", id="connections end", marks=pytest.mark.smoke),
        pytest.param("still", id="nothing moves"),
    ],
)
def test_a_worker_cut_off_from_redis_past_its_leases(
    site: Site, make_proxy: Callable[[int], Proxy], mode: Mode
) -> None:
    """Another takes its rows over; it says so once for each of its threads, and goes on when the network is back."""
    proxy = make_proxy(site.server.port)
    batch_id = site.submit()
    site.work(proxy.url)
    site.at_least(batch_id, ROWS // 5)
    proxy.mode = mode
    site.until(lambda: "queue.unavailable" in site.log("w0"), 60, "the worker to notice")
    site.until(lambda: site.lane().leased == 0 or not site.lane().workers, 60, "the worker to be forgotten")
    said = site.log("w0").count("does not answer")
    site.work()
    site.at_least(batch_id, ROWS // 2)
    proxy.mode = "open"
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
    assert said <= 3, site.log("w0")


def test_the_only_worker_cut_off_again_and_again(site: Site, make_proxy: Callable[[int], Proxy]) -> None:
    proxy = make_proxy(site.server.port)
    batch_id = site.submit(4 * ROWS)
    site.work(proxy.url)
    for part in range(1, 9):
        site.at_least(batch_id, part * ROWS // 3)
        proxy.mode = "cut"
        site.until(lambda part=part: site.log("w0").count("queue.unavailable") >= part, 30, "the worker to notice")
        proxy.mode = "open"
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": 4 * ROWS}


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A network namespace, the host's end of the wire to it, and the host's address on that wire."""
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
    site: Site, make_proxy: Callable[[int, str], Proxy], namespace: tuple[str, str, str]
) -> None:
    """By the kernel: packets vanish, and no connection is ended."""
    name, wire, address = namespace
    proxy = make_proxy(site.server.port, address)
    batch_id = site.submit()
    site.work(proxy.url, under=("ip", "netns", "exec", name))
    site.at_least(batch_id, ROWS // 5)
    subprocess.run(["ip", "link", "set", wire, "down"], check=True)
    site.until(lambda: "queue.unavailable" in site.log("w0"), 60, "the worker to notice")
    site.work()
    site.at_least(batch_id, ROWS // 2)
    subprocess.run(["ip", "link", "set", wire, "up"], check=True)
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": ROWS}
