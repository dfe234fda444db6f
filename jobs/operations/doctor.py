"""The doctor: checks whether what Nightpress needs is there, and says what to do about each fault.

The checks here are of Python, the queue and the storage. Other packages add theirs through the entry point group
`nightpress.doctor`: a callable that takes the Settings and returns Checks. A check never raises: a fault is its result.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final, Protocol

from jobs.errors import NightpressError, QueueUnavailable, StoreUnavailable
from jobs.settings import Settings
from jobs.urls import redacted

OLDEST_PYTHON: Final = (3, 11)
OLDEST_REDIS: Final = (7, 0)


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found. `remedy` says what to do unless it is `ok`; one that is not `needed` is only a hint."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


class Pinged(Protocol):
    """What the doctor asks of a queue."""

    def ping(self) -> Mapping[str, str]:
        """The server's version, memory limit and eviction policy. Raises QueueUnavailable."""
        ...

    def check(self) -> None:
        """Raises QueueUnavailable unless the server takes writes."""
        ...


class Checked(Protocol):
    """What the doctor asks of a store."""

    url: str

    def check(self) -> None:
        """Raises StoreUnavailable unless exactly one of two writers gets a name."""
        ...


def examine(settings: Settings, queue: Callable[[], Pinged | None], store: Callable[[], Checked]) -> Iterator[Check]:
    """Every check, as it is made. The queue and the store are opened here, since that may be the fault."""
    yield python(sys.version_info[:3])
    yield from redis(queue)
    yield storage(store)
    yield from extensions(settings)


def python(version: tuple[int, int, int]) -> Check:
    """This Python."""
    said = ".".join(map(str, version))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", version[:2] >= OLDEST_PYTHON, said, f"use Python {oldest} or newer")


def redis(queue: Callable[[], Pinged | None]) -> Iterator[Check]:
    """The queue's server: whether it answers and takes writes, its version, and that it evicts nothing."""
    try:
        opened = queue()
        if opened is None:
            detail = "none is set; `nightpress run` brings its own"
            yield Check("redis", False, detail, "for `enqueue` and `work`, set NIGHTPRESS_REDIS_URL", needed=False)
            return
        info = opened.ping()
        opened.check()
    except QueueUnavailable as error:
        yield Check("redis", False, str(error), "start the server, mend what it says, or mend NIGHTPRESS_REDIS_URL")
        return
    yield _version(info)
    yield _policy(info)


def _version(info: Mapping[str, str]) -> Check:
    valkey = "valkey_version" in info
    said = info.get("valkey_version" if valkey else "redis_version", "unknown")
    numbers = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    oldest = ".".join(map(str, OLDEST_REDIS))
    return Check(
        "redis version",
        numbers >= OLDEST_REDIS,
        f"{'Valkey' if valkey else 'Redis'} {said}",
        f"use Redis {oldest} or newer, or Valkey",
    )


def _policy(info: Mapping[str, str]) -> Check:
    policy, limit = info.get("maxmemory_policy", "unknown"), info.get("maxmemory", "0")
    detail = f"maxmemory-policy {policy}, maxmemory {limit if limit != '0' else 'unlimited'}"
    # Other policies throw keys of the schedule away, and its rows are then run again from storage.
    return Check("redis memory", policy == "noeviction", detail, "in its redis.conf: maxmemory-policy noeviction")


def storage(store: Callable[[], Checked]) -> Check:
    """The storage: that it can be written, and that of two writers exactly one gets a name."""
    try:
        opened = store()
        opened.check()
    except StoreUnavailable as error:
        return Check("storage", False, str(error), "mend NIGHTPRESS_STORE_URL and NIGHTPRESS_STORE_OPTIONS")
    return Check("storage", True, f"{redacted(opened.url)}: of two writers exactly one gets a name")


def extensions(settings: Settings) -> Iterator[Check]:
    """The checks of other installed packages, such as those of models, Ray and GPUs."""
    for point in sorted(entry_points(group="nightpress.doctor"), key=lambda point: point.name):
        try:
            checks: Iterable[Check] = point.load()(settings)
            yield from checks
        except (ImportError, NightpressError) as error:
            yield Check(point.name, False, f"{point.value}: {error}", "install its package again")
