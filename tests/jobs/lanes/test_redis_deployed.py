"""Shows jobs/lanes/redis_queue.py on Redis as it is deployed: a cluster, TLS, users with few rights, and no password anywhere."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from jobs.errors import QueueUnavailable
from jobs.lanes.protocol import Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import COMMANDS, lane_key
from jobs.settings import Settings
from jobs.store.identity import NO_ID
from tests.conftest import Server as MakeServer
from tests.conftest import free_port
from tests.support.lane import LEASE_MS, row

if TYPE_CHECKING:
    from tests.conftest import Server

REDIS = shutil.which("redis-server")
GRANT = ("ACL SETUSER", "night", "on", ">s3cret", "resetkeys", "~np:2:*", "-@all", *(f"+{c}" for c in COMMANDS))
LANES = [f"model-{n}@1" for n in range(12)]


def every_step(queue: RedisQueue, lane: str, *, wakes: bool = True) -> None:
    """Run every script and send every command, once or more; with `wakes` False, all but the wait for a wake."""
    me = WorkerRecord("w", 1, "n", lane, 0)
    assert queue.feed(lane, "b", 1, 0, 9, True, [row(n, tenant=f"t{n % 2}") for n in range(6)]).accepted
    jobs = queue.claim(lane, "w-1-0", 6, LEASE_MS, me).jobs
    first, second, third, *rest = [job.lease for job in jobs]
    assert queue.beat(lane, [first, second], LEASE_MS, me).lost == frozenset()
    assert queue.settle(lane, [Settlement(first), Settlement(second, "retry", 0)]) == frozenset()
    assert queue.release(lane, [third]) == frozenset()
    queue.pause(lane)
    assert queue.snapshot(lane).paused
    queue.resume(lane)
    again = queue.claim(lane, "w-1-1", 6, LEASE_MS, me).jobs
    assert len(again) == 2
    assert queue.settle(lane, [Settlement(lease) for lease in [*rest, *(job.lease for job in again)]]) == frozenset()
    assert queue.reset(lane, "b", queue.snapshot(lane).batches["b"].version)
    assert queue.feed(lane, "b", 1, 0, 9, True, [row(7)]).accepted
    queue.announce(lane, "b")
    assert not wakes or queue.wait_for_rows(lane, 1.0)
    assert queue.claim(lane, "w-1-2", 6, 1, me, keep_ms=1000).keeps
    rescued = queue.claim(lane, "w-2-0", 6, LEASE_MS, me).jobs
    while not rescued:  # the lease of a millisecond has yet to run out
        rescued = queue.claim(lane, "w-2-0", 6, LEASE_MS, me).jobs
    assert [(job.crashes, job.suspect) for job in rescued] == [(1, True)]
    assert queue.drop(lane, "b", 1, forget=True) == 1
    assert lane in queue.lanes()
    assert "redis_version" in queue.ping()


def test_every_script_and_command_runs_on_a_cluster(redis_cluster: str) -> None:
    """Twelve lanes are spread over all three nodes. The URL names one node, and nothing in it shows that there is a cluster."""
    with redis.RedisCluster.from_url(redis_cluster) as client:
        nodes = {client.get_node_from_key(lane_key(NO_ID, lane, "jobs")) for lane in LANES}
        assert len(nodes) == 3
        client.script_flush()
        for node in nodes:
            client.execute_command(*GRANT, target_nodes=node)
    queue = RedisQueue.from_url(redis_cluster.replace("redis://", "redis://night:s3cret@"))
    for lane in LANES:
        every_step(queue, lane)
    assert set(LANES) <= set(queue.lanes())
    queue.close()


def test_a_cluster_that_is_down_is_reported_in_one_line(tmp_path: Path) -> None:
    """The URL names a node that does not know which node serves its slots."""
    if REDIS is None:
        pytest.skip("redis-server is not installed")
    node = MakeServer(REDIS, tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    queue = RedisQueue.from_url(node.url)
    try:
        with pytest.raises(QueueUnavailable, match="slot not served"):
            queue.lanes()
    finally:
        node.kill()
        queue.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1. Its key lies beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "pem")]
    subprocess.run([*command, *places], check=True, capture_output=True)
    return folder / "pem"


@pytest.fixture
def tls_server(certificate: Path, tmp_path: Path) -> "Iterator[Server]":
    if REDIS is None:
        pytest.skip("redis-server is not installed")
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(certificate.parent / "key"))
    server = MakeServer(REDIS, tmp_path, *files, "--tls-auth-clients", "no", tls=True)
    yield server
    server.kill()


def test_tls_with_the_authority_of_the_settings(tls_server: "Server", certificate: Path) -> None:
    queue = RedisQueue.from_settings(Settings(redis_url=tls_server.url, redis_ca=certificate), None)
    every_step(queue, LANES[0])
    queue.close()


def test_an_untrusted_certificate_is_reported_with_the_remedy(tls_server: "Server") -> None:
    queue = RedisQueue.from_settings(Settings(redis_url=tls_server.url), None)
    with pytest.raises(QueueUnavailable, match=r"certificate is not trusted.*NIGHTPRESS_REDIS_CA"):
        queue.ping()


@pytest.fixture
def guarded(redis_server: "Server") -> str:
    """The URL of a user who has the documented rights, and no other rights."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command(*GRANT)
    return redis_server.url.replace("redis://", "redis://night:s3cret@")


def test_a_user_with_the_documented_rights_can_do_everything(guarded: str) -> None:
    queue = RedisQueue.from_url(guarded)
    every_step(queue, LANES[0])
    queue.close()


@pytest.mark.parametrize("without", ["evalsha", "script|load", "zadd", "smembers"])
def test_a_missing_right_is_reported(redis_server: "Server", guarded: str, without: str) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command("ACL SETUSER night", f"-{without}")
    queue = RedisQueue.from_url(guarded)
    with pytest.raises(QueueUnavailable, match=r"docs/deployment\.md") as raised:
        every_step(queue, LANES[0])
    assert "\n" not in str(raised.value)
    queue.close()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis://night:wr0ng@{place}", id="wrong password"),
        pytest.param("redis://nobody:wr0ng@{place}", id="unknown user"),
        pytest.param("redis://:wr0ng@127.0.0.1:1/0", id="no server"),
    ],
)
def test_a_password_never_shows(guarded: str, url: str) -> None:
    url = url.format(place=guarded.partition("@")[2])
    settings = Settings(redis_url=url)
    queue: Any = RedisQueue.from_settings(settings, None)
    with pytest.raises(QueueUnavailable) as raised:
        queue.ping()
    shown = [str(raised.value), repr(raised.value), repr(queue), repr(settings), str(settings.model_dump())]
    assert "wr0ng" not in " ".join(shown)
    queue.close()


def test_a_user_without_the_right_to_wait_does_all_the_same(redis_server: "Server", guarded: str) -> None:
    """The scripts need no right that users of earlier releases lack, so only the wakes are missing."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command("ACL SETUSER night", "-blpop")
    queue = RedisQueue.from_url(guarded)
    with pytest.raises(QueueUnavailable, match=r"docs/deployment\.md"):
        queue.check_wakes()
    every_step(queue, LANES[0], wakes=False)
    queue.close()


def test_the_docs_show_the_rights() -> None:
    page = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text()
    assert " ".join(f"+{command}" for command in COMMANDS) in " ".join(page.split())
