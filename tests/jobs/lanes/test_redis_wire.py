"""Shows jobs/lanes/redis_wire.py: no command gets the reply to another command, and a lost connection is opened again."""

from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.lanes.redis_wire import Wire

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
def client(redis_server: "Server") -> redis.Redis:
    return redis.Redis.from_url(redis_server.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))


def test_a_reply_that_came_too_late_is_not_taken_for_the_next(client: redis.Redis, redis_url: str) -> None:
    pool = client.connection_pool
    connection = pool.get_connection()
    pool.release(connection)
    wire = Wire(pool)
    with pytest.raises(redis.exceptions.TimeoutError):
        wire.ask("BLPOP", "late", 0)
    connection.socket_timeout = 20
    with redis.Redis.from_url(redis_url) as other:
        other.rpush("late", "late")
    assert wire.ask("ECHO", "own") == b"own"
    wire.close()


def test_an_error_of_the_server_leaves_the_connection_as_it_is(client: redis.Redis) -> None:
    wire = Wire(client.connection_pool)
    before = wire.ask("CLIENT", "ID")
    with pytest.raises(redis.exceptions.NoScriptError):
        wire.ask("EVALSHA", "0" * 40, 0)
    assert wire.ask("CLIENT", "ID") == before
    wire.close()


def test_a_connection_that_was_cut_is_made_anew(redis_server: "Server") -> None:
    with redis.Redis.from_url(redis_server.url, retry=Retry(NoBackoff(), 2)) as client:
        wire = Wire(client.connection_pool)
        number = wire.ask("CLIENT", "ID")
        assert client.client_kill_filter(_id=number) == 1
        assert wire.ask("ECHO", "again") == b"again"
        wire.close()
