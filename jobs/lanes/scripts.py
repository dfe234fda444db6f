"""This module has the Lua scripts of a lane, and the names of their keys. A script is one atomic step on one lane.

All keys of a lane have the lane's name as their hash tag, and scripts declare them, so every script runs on a Redis Cluster too.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Final

PREFIX: Final = "np:2"
"""Every key begins with this prefix. The number is the version of the format of everything that Nightpress keeps in Redis.

A release that changes the format also changes the number. So it neither reads nor harms the keys of the old format, and its
feeders build the schedule anew from storage.
"""
PROBE: Final = f"{PREFIX}:probe"
"""A key that never exists. `RedisQueue.check` deletes a field of it, which shows whether the server accepts writes."""
KEYS: Final = (
    *("batches", "jobs", "payload", "ready", "delayed", "leased", "waits", "meta", "workers", "counts"),
    *("suspects", "crashed", "flights", "wake"),
)
"""The keys of a lane, in the order in which each script gets them as KEYS; lua/parts/lane.lua says what they hold."""

SCRIPTS: Final = ("feed", "claim", "beat", "settle", "release", "drop", "reset", "snapshot", "pause", "announce")
PARTS: Final = ("lane", "records", "changes", "jobs")
"""The files of lua/parts that are put before every script, in order."""
MORE_PARTS: Final[Mapping[str, Sequence[str]]] = {
    "beat": ("presence",),
    "claim": ("presence", "mend", "rescue", "leasing", "turns"),
}
"""Some scripts need more files of lua/parts. They are put between `PARTS` and the script, in order."""

COMMANDS: Final = (
    *("evalsha", "script|load", "sadd", "smembers", "info", "time", "command", "cluster|slots"),
    *("hget", "hmget", "hset", "hdel", "hlen", "hkeys", "hgetall", "hexists", "hstrlen", "hscan"),
    *("zadd", "zrem", "zcard", "zrange", "zrangebyscore", "zrangebylex"),
    *("del", "lrange", "rpush", "pexpire", "scard", "blpop"),
)
"""The Redis user of Nightpress must be allowed to run these commands on keys `np:2:*`. docs/deployment.md shows them.

Without `blpop`, idle workers are not woken, and look for rows by themselves: at least once in 10 s.
"""


@cache
def lane_keys(store_id: str, lane: str) -> Sequence[str]:
    """Return the keys of a lane of a store, in the order of `KEYS`."""
    return tuple(lane_key(store_id, lane, name) for name in KEYS)


def lane_key(store_id: str, lane: str, name: str) -> str:
    """Return the key `name` of a lane of a store, as Redis knows it."""
    return f"{PREFIX}:{{{store_id}/{lane}}}:{name}"


def lanes_key(store_id: str) -> str:
    """Return the key of a set with the names of all lanes of a store that were ever fed or paused."""
    return f"{PREFIX}:{store_id}:lanes"


@cache
def sources() -> Mapping[str, str]:
    """Return the text of each script by its name, with the parts that are put before it."""
    folder = files("jobs.lanes") / "lua"
    parts = {part: (folder / "parts" / f"{part}.lua").read_text() for part in {*PARTS, *chain(*MORE_PARTS.values())}}
    return {
        name: "".join(parts[part] for part in (*PARTS, *MORE_PARTS.get(name, ())))
        + (folder / f"{name}.lua").read_text()
        for name in SCRIPTS
    }
