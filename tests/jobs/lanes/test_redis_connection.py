"""Shows jobs/lanes/redis_connection.py: every failure of Redis is reported with a remedy and without the password."""

import socket
import time
from pathlib import Path

import pytest
import redis

from jobs.errors import QueueUnavailable
from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_connection import SLOW_S, TRIES, RedisConnection
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, claim, fed, row


def test_scripts_that_the_server_forgot_are_sent_again(queue: RedisQueue, client: redis.Redis) -> None:
    """The server has lost its scripts, and nothing else, so it answers NOSCRIPT."""
    fed(queue, [row(0)])
    client.script_flush()
    (job,) = claim(queue)
    client.script_flush()
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()


def test_a_missing_server_is_reported_in_one_line_without_the_password() -> None:
    queue = RedisQueue.from_url("redis://user:secret@127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable) as raised:
        queue.ping()
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://nowhere", id="scheme"),
        pytest.param("redis://host:99999/0", id="port"),
        pytest.param("redis://:sec/ret@host:6379/0", id="slash in the password"),
        pytest.param("redis://:sec#ret@host:6379/0", id="hash in the password"),
        pytest.param("redis://:sec?ret=1@host:6379/0", id="question mark in the password"),
        pytest.param("redis://:secret@host:6379/0?timeout=3", id="unknown option"),
        pytest.param("redis://:secret@host:6379/0?ssl_cert_reqs=none", id="option of another scheme"),
        pytest.param("rediss://:secret@host:6379/0?ssl_cert_reqs=maybe", id="option with a wrong value"),
        pytest.param("redis://:secret@host:6379/first", id="a database that is no number"),
        pytest.param("redis:///folder/secret.sock", id="the path of a socket with the scheme of a server"),
        pytest.param("unix://secret.sock", id="a socket without a whole path"),
        pytest.param("unix://", id="a socket without a path"),
    ],
)
def test_a_wrong_url_is_reported_without_any_part_of_it(url: str) -> None:
    with pytest.raises(QueueUnavailable, match="not a Redis URL") as raised:
        RedisQueue.from_url(url)
    assert "sec" not in str(raised.value)


@pytest.mark.parametrize("options", ["?max_connections=1", "?socket_keepalive=true&db=0"])
def test_options_of_a_url_are_used(redis_url: str, options: str) -> None:
    queue = RedisQueue.from_url(redis_url + options)
    assert queue.lanes() == []
    queue.close()


@pytest.mark.parametrize("ca", ["none.pem", "."])
def test_a_ca_that_is_no_file_is_reported_with_its_setting(tmp_path: Path, ca: str) -> None:
    with pytest.raises(QueueUnavailable, match=r"^NIGHTPRESS_REDIS_CA names no file that can be read: /") as raised:
        RedisQueue.from_url("rediss://:secret@host:6379/0", ca=tmp_path / ca)
    assert "secret" not in str(raised.value)
    RedisQueue.from_url("redis://host:6379/0", ca=tmp_path / ca).close()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("/nowhere/a%20b.sock", r"^Redis at /nowhere/a b\.sock does not answer: start it", id="missing"),
        pytest.param(f"/{'x' * 120}", "its socket is too long", id="more than 107 bytes"),
    ],
)
def test_a_socket_that_cannot_be_reached_is_named_with_the_reason(path: str, message: str) -> None:
    queue = RedisQueue.from_url(f"unix://{path}")
    with pytest.raises(QueueUnavailable, match=message):
        queue.ping()


def test_a_socket_of_another_user_is_named_with_the_reason(fake_client: redis.Redis) -> None:
    def refused(*_: object) -> None:
        raise redis.exceptions.ConnectionError("Error 13 connecting to unix socket: /a.sock. Permission denied.")

    fake_client.execute_command = refused  # type: ignore[method-assign]
    connection = RedisConnection(fake_client, "Redis at /a.sock")
    connection._wire = None
    with pytest.raises(QueueUnavailable, match=r"^Redis at /a\.sock: its socket lets in other users only"):
        connection.command("PING")


def test_a_server_that_hangs_is_noticed_after_a_few_timeouts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = RedisQueue.from_url(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="does not answer"):
            queue.ping()
        assert 0.2 <= time.monotonic() - began < TRIES * 0.2 + 1.5


def test_a_slow_answer_is_reported_once() -> None:
    reported: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(QueueUnavailable, match="does not answer"):
            RedisQueue.from_url(f"redis://{place}/0", timeout_s=SLOW_S).ping(reported.append)
    assert reported == [f"waiting for Redis at {place}, which has not answered yet"]
