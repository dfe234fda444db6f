"""A Redis whose time a test moves: the imitation by its clock, a real server by moving all that it waits for.

On a real server a script takes `ms` off every due time, expiry and time to live, and off when a worker was last heard, which
to the queue is the same as time that passes. Both can save all keys, and go back to them, as a server does that comes up
with old data.
"""

import time
from types import SimpleNamespace
from typing import Any, Final

import fakeredis
import pytest
import redis

from tests.faults.protocol_model import EVENING

AGE: Final = """
for _, key in ipairs(redis.call('KEYS', 'np:1:*')) do
  if string.match(key, ':leased$') or string.match(key, ':delayed$') then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -tonumber(ARGV[1]), member)
    end
  end
  for _, field in ipairs(string.match(key, ':meta$') and {'now', 'silence', 'grace'} or {}) do
    if redis.call('HEXISTS', key, field) == 1 then
      redis.call('HINCRBY', key, field, string.format('%d', -tonumber(ARGV[1])))
    end
  end
  local left = redis.call('PTTL', key)
  if left >= 0 then
    redis.call('PEXPIRE', key, math.max(left - tonumber(ARGV[1]), 0))
  end
end
"""

Saved = tuple[int, dict[bytes, tuple[bytes, int]]]


class ImitatedServer:
    """fakeredis, with a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = round(EVENING.timestamp() * 1000)
        clock = SimpleNamespace(time=lambda: self.ms / 1000, sleep=time.sleep)
        for module in ("_helpers", "_socket._base", "commands_mixins.server_mixin"):
            monkeypatch.setattr(f"fakeredis.{module}.time", clock)
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7,)))

    def pass_ms(self, ms: int) -> None:
        self.ms += ms

    def save(self) -> Saved:
        return self.ms, _dump(self.client)

    def roll_back(self, saved: Saved) -> None:
        """Time does not go back with the data."""
        _restore(self.client, saved)


class RealServer:
    """A server on a port of its own. A lease is far longer than an example takes, so its own clock hardly matters."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.client.flushall()
        self._age = self.client.register_script(AGE)
        self._aged = 0

    def pass_ms(self, ms: int) -> None:
        self._aged += ms
        self._age(args=[ms])

    def save(self) -> Saved:
        return self._aged, _dump(self.client)

    def roll_back(self, saved: Saved) -> None:
        """Time does not go back with the data."""
        _restore(self.client, saved)
        self._age(args=[self._aged - saved[0]])


def _dump(client: Any) -> dict[bytes, tuple[bytes, int]]:
    return {key: (client.dump(key), max(client.pexpiretime(key), 0)) for key in client.scan_iter()}


def _restore(client: Any, saved: Saved) -> None:
    client.flushall()
    for key, (value, expires_at) in saved[1].items():
        client.restore(key, 0, value)
        if expires_at:
            client.pexpireat(key, expires_at)  # the imitation's RESTORE knows no absolute time
