"""The doctor checks whether everything that Nightpress needs is there, and says what to do about each fault.

This module checks Python, the queue and the storage. Other packages add checks through the entry point group
`nightpress.doctor`: a callable that takes the Settings and returns Checks. A check returns a fault, and never raises it.
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
    """The result of one check. If `ok` is False, `remedy` says what to do. If `needed` is False too, the fault is only a note."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


class Pinged(Protocol):
    """The part of a queue that the doctor calls."""

    def ping(self) -> Mapping[str, str]:
        """Return the server's version, memory limit and eviction policy. Raises QueueUnavailable."""
        ...

    def check(self) -> None:
        """Check that the server takes writes. Raises QueueUnavailable if it does not."""
        ...


class Checked(Protocol):
    """The part of a store that the doctor calls."""

    url: str

    def check(self) -> None:
        """Check that exactly one of two writers of the same name succeeds. Raises StoreUnavailable if not."""
        ...


def examine(settings: Settings, queue: Callable[[], Pinged | None], store: Callable[[], Checked]) -> Iterator[Check]:
    """Make all checks, and yield each result at once. If `queue` or `store` cannot be opened, that is a result too."""
    yield python(sys.version_info[:3])
    yield from redis(queue)
    yield storage(store)
    yield from extensions(settings)


def python(version: tuple[int, int, int]) -> Check:
    """Check whether this Python is new enough."""
    running = ".".join(map(str, version))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", version[:2] >= OLDEST_PYTHON, running, f"use Python {oldest} or newer")


def redis(queue: Callable[[], Pinged | None]) -> Iterator[Check]:
    """Check whether the queue's server answers, takes writes, is new enough, and evicts nothing."""
    try:
        opened = queue()
        if opened is None:
            detail = "none is set; `nightpress run` brings its own"
            yield Check("redis", False, detail, "for `enqueue` and `work`, set NIGHTPRESS_REDIS_URL", needed=False)
            return
        info = opened.ping()
        opened.check()
    except QueueUnavailable as error:
        yield Check(
            "redis", False, str(error), "start the server, do what the message says, or correct NIGHTPRESS_REDIS_URL"
        )
        return
    yield _version(info)
    yield _policy(info)


def _version(info: Mapping[str, str]) -> Check:
    valkey = "valkey_version" in info
    version = info.get("valkey_version" if valkey else "redis_version", "unknown")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    oldest = ".".join(map(str, OLDEST_REDIS))
    return Check(
        "redis version",
        numbers >= OLDEST_REDIS,
        f"{'Valkey' if valkey else 'Redis'} {version}",
        f"use Redis {oldest} or newer, or Valkey",
    )


def _policy(info: Mapping[str, str]) -> Check:
    policy, limit = info.get("maxmemory_policy", "unknown"), info.get("maxmemory", "0")
    detail = f"maxmemory-policy {policy}, maxmemory {limit if limit != '0' else 'unlimited'}"
    # Under other policies the server evicts keys of the queue. The rows of evicted keys are fed again, and run twice.
    return Check("redis memory", policy == "noeviction", detail, "in its redis.conf: maxmemory-policy noeviction")


def storage(store: Callable[[], Checked]) -> Check:
    """Check that the storage can be written, and that exactly one of two writers of the same name succeeds (rule 1)."""
    try:
        opened = store()
        opened.check()
    except StoreUnavailable as error:
        return Check("storage", False, str(error), "correct NIGHTPRESS_STORE_URL or NIGHTPRESS_STORE_OPTIONS")
    return Check("storage", True, f"{redacted(opened.url)}: of two writers exactly one gets a name")


def extensions(settings: Settings) -> Iterator[Check]:
    """Yield the checks of other installed packages, such as those of models, Ray and GPUs."""
    for point in sorted(entry_points(group="nightpress.doctor"), key=lambda point: point.name):
        try:
            checks: Iterable[Check] = point.load()(settings)
            yield from checks
        except (ImportError, NightpressError) as error:
            yield Check(point.name, False, f"{point.value}: {error}", "install that package again")
