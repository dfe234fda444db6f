"""Shows jobs/redis_wire.py: no reply is taken for another's, and a lost connection is made anew."""

from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.redis_wire import Wire

if TYPE_CHECKING:
    from tests.conftest import Server

SLOW = """
local function now_ms() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
local began = now_ms()
while now_ms() - began < 300 do end
return 'late'
"""


@pytest.fixture
def client(redis_server: "Server") -> redis.Redis:
    return redis.Redis.from_url(redis_server.url, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))


def test_a_reply_that_came_too_late_is_not_taken_for_the_next(client: redis.Redis) -> None:
    wire = Wire(client.connection_pool)
    with pytest.raises(redis.exceptions.TimeoutError):
        wire.ask("EVAL", SLOW, 0)
    client.connection_pool.connection_kwargs["socket_timeout"] = 5
    patient = Wire(redis.ConnectionPool(**client.connection_pool.connection_kwargs))
    assert patient.ask("ECHO", "next") == b"next"
    assert wire.ask("ECHO", "own") == b"own"
    patient.close()
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
