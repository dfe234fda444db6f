"""The doctor checks whether everything that Nightpress needs is there, and says what to do about each fault.

This module checks Python, kinds and templates, the queue and the storage. Other packages add checks through the entry point group
`nightpress.doctor`: a callable that takes the Settings and returns Checks. A check returns a fault, and never raises it.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final, Protocol

from jobs.errors import NightpressError, QueueUnavailable, RequestError, StoreUnavailable
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.urls import redacted

_FAULTS: Final = (
    ImportError,
    NightpressError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)
"""Errors that the doctor checks of another package may raise. They are caught, so that the remaining checks still run."""

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

    def check_wakes(self) -> None:
        """Check that workers may wait to be woken. Raises QueueUnavailable if they may not."""
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
    yield from kinds(settings)
    yield from model(settings)
    yield from prices(settings)
    yield from redis(queue)
    yield storage(store)
    yield from extensions(settings)


def python(version: tuple[int, int, int]) -> Check:
    """Check whether this Python is new enough."""
    running = ".".join(map(str, version))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", version[:2] >= OLDEST_PYTHON, running, f"use Python {oldest} or newer")


def kinds(settings: Settings) -> Iterator[Check]:
    """Yield a check only if a kind or a template cannot be loaded."""
    try:
        load_kinds(settings.templates_dir)
    except RequestError as error:
        yield Check("kinds", False, str(error), "correct that template or package, or the setting templates_dir")


def model(settings: Settings) -> Iterator[Check]:
    """Yield a check only if no model has the alias of the setting `model`."""
    if settings.model not in settings.catalog:
        known = ", ".join(sorted(settings.catalog))
        yield Check("model", False, f"no model has the alias {settings.model!r}", f"set model to one of: {known}")


def prices(settings: Settings) -> Iterator[Check]:
    """Yield notes on the user's own prices if they leave a model without a price, or have the name of the shipped version."""
    own = settings.prices
    if own.are_own and (free := own.without_price(sorted(settings.catalog))):
        remedy = "give them prices in [prices.models], which replaces the shipped table, if they are to be charged"
        yield Check("prices", False, f"nothing is charged for {', '.join(free)}", remedy, needed=False)
    if own.bear_the_name_of_others:
        detail = f"your own prices bear the name of the shipped ones, {own.version}"
        yield Check("prices", False, detail, "give them a name of their own: version in [prices]", needed=False)


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
    try:
        opened.check_wakes()
    except QueueUnavailable as error:
        remedy = "give its user the right +blpop, or idle workers find new rows only within 10 s"
        yield Check("redis wakes", False, str(error), remedy, needed=False)


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
        except _FAULTS as error:
            yield Check(
                point.name, False, f"{point.value}: {error or type(error).__name__}", "install that package again"
            )
