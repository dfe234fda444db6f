"""Two kinds of Redis whose time a test moves. The imitation has a clock that can be moved; a real server is given the time with
each script.

The time is exact on both, so no example depends on how long it takes. Both can save all keys and restore them, like a server
that comes up with old data.
"""

import time
from types import SimpleNamespace
from typing import Any, Final

import fakeredis
import pytest
import redis

from tests.faults.model.protocol_model import EVENING

SHORTEN: Final = """
for _, key in ipairs(redis.call('KEYS', 'np:2:*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    redis.call('PEXPIRE', key, math.max(left - tonumber(ARGV[1]), 0))
  end
end
"""
"""Shortens the life of all keys. The life of a key is the only time that a real server measures by its own clock here."""

EVENING_MS: Final = round(EVENING.timestamp() * 1000)

Saved = tuple[int, dict[bytes, tuple[bytes, int]]]


class ImitatedServer:
    """fakeredis, with a clock of its own."""

    now_ms = None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = EVENING_MS
        clock = SimpleNamespace(time=lambda: self.ms / 1000, sleep=time.sleep)
        for module in ("_helpers", "_socket._base", "commands_mixins.server_mixin"):
            monkeypatch.setattr(f"fakeredis.{module}.time", clock)
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7,)))

    def pass_ms(self, ms: int) -> None:
        self.ms += ms

    def save(self) -> Saved:
        return self.ms, _dump(self.client)

    def roll_back(self, saved: Saved) -> None:
        """Restore the saved data. The time does not go back."""
        _restore(self.client, saved)


class RealServer:
    """A real server whose scripts use `now_ms` as the time."""

    def __init__(self, url: str) -> None:
        self.ms = EVENING_MS
        self.client = redis.Redis.from_url(url)
        self.client.flushall()
        self._shorten = self.client.register_script(SHORTEN)

    def now_ms(self) -> int:
        return self.ms

    def pass_ms(self, ms: int) -> None:
        self.ms += ms
        self._shorten(args=[ms])

    def save(self) -> Saved:
        return self.ms, _dump(self.client)

    def roll_back(self, saved: Saved) -> None:
        """Restore the saved data. The time does not go back."""
        _restore(self.client, saved)
        self._shorten(args=[self.ms - saved[0]])


def _dump(client: Any) -> dict[bytes, tuple[bytes, int]]:
    return {key: (client.dump(key), max(client.pexpiretime(key), 0)) for key in client.scan_iter()}


def _restore(client: Any, saved: Saved) -> None:
    client.flushall()
    for key, (value, expires_at) in saved[1].items():
        client.restore(key, 0, value)
        if expires_at:
            client.pexpireat(key, expires_at)  # the imitation's RESTORE knows no absolute time
