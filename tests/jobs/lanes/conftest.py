"""The queue of the tests in this folder."""

import pytest
import redis

from jobs.lanes.redis_queue import RedisQueue


@pytest.fixture
def queue(client: redis.Redis) -> RedisQueue:
    """A queue on the imitation of Redis, and on each real server that is installed. A row has three attempts."""
    return RedisQueue(client, max_attempts=3)
