"""What one call of the command line works with: settings, storage, queue, clock and the two streams.

Each is opened when a command first asks for it, so that a command which needs no Redis never waits for one. Tests give
their own in place of any.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import orjson

from jobs.errors import NoBatch, RequestError

if TYPE_CHECKING:
    from rich.console import Console

    from jobs.batches.batch import Batch
    from jobs.errors import StoreDamaged
    from jobs.lanes.redis_queue import RedisQueue
    from jobs.settings import Settings
    from jobs.store.store import Store

BATCH = "A batch's id, or how it starts."
"""The help of every argument that names a batch."""

LONGEST_NAME = 100
"""No id is longer, and a file system would not even look for some that are."""

REDIS_REMEDY = "start a Redis 7 and set NIGHTPRESS_REDIS_URL, such as redis://localhost:6379/0"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Session:
    """One call of the command line. `given_*` stand in place of what the environment would give."""

    given_settings: Settings | None = None
    given_queue: RedisQueue | None = None
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = field(default=time.sleep)

    @cached_property
    def settings(self) -> Settings:
        """The settings of this process. Raises RequestError."""
        if self.given_settings is not None:
            return self.given_settings
        from jobs.settings import load

        return load()

    @cached_property
    def store(self) -> Store:
        """The storage of the settings, which may have to warn. Raises StoreUnavailable."""
        from jobs import logs
        from jobs.store.opening import open_store

        logs.show_warnings(self.settings.log_format)

        return open_store(self.settings.store_url, self.settings.store_options)

    @cached_property
    def queue(self) -> RedisQueue | None:
        """The queue of the settings; None where they name no Redis. It may turn out not to answer."""
        if self.given_queue is not None:
            return self.given_queue
        if self.settings.redis_url is None:
            return None
        from jobs.lanes.redis_queue import RedisQueue

        return RedisQueue.from_settings(self.settings)

    def needed_queue(self) -> RedisQueue:
        """The queue, for a command that can do nothing without. Raises QueueUnavailable."""
        if self.queue is None:
            from jobs.errors import QueueUnavailable

            raise QueueUnavailable(f"no Redis is set: {REDIS_REMEDY}")
        return self.queue

    @cached_property
    def out(self) -> Console:
        """Standard output, for results: colour only on a terminal, and never under NO_COLOR."""
        from rich.console import Console

        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    @cached_property
    def err(self) -> Console:
        """Standard error, for progress."""
        from rich.console import Console

        return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)

    def say(self, message: str) -> None:
        """One line for a person, on standard error."""
        for line in _fitted(message, self.err):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that speaks

    def write(self, line: str, *, at_once: bool = False) -> None:
        """One line of a result, on standard output; `at_once` also where that is a pipe or a file, and more may take its time."""
        for part in _fitted(line, self.out):
            print(part, file=sys.stdout, flush=at_once)  # noqa: T201 - the one place that answers

    def write_json(self, value: Any, *, indent: bool = False) -> None:
        """A JSON value as a line of a result, never broken."""
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()
        print(text, file=sys.stdout)  # noqa: T201 - the one place that answers

    def say_damaged(self, faults: Sequence[StoreDamaged]) -> None:
        """Name what a command had to leave out, and end it with the status of that: the last one is raised."""
        for fault in faults[:-1]:
            self.say(f"nightpress: {fault}")
        if faults:
            raise faults[-1]

    def moment(self, typed: str | None, option: str) -> datetime | None:
        """A moment to come that an option names. Raises RequestError when it is none, or past."""
        from jobs.typed_times import parse

        moment = parse(typed, self.clock()) if typed else None
        if moment is not None and moment <= self.clock():
            raise RequestError(f"{option} {typed} is past: name a moment to come, such as 06:00 or +8h")
        return moment

    def batch(self, name: str) -> Batch:
        """The batch of this id, or the only one whose id starts so. Raises NoBatch, or RequestError where there are several."""
        from jobs.batches.rounds import list_batches, load_batch

        batch = load_batch(self.store, name) if 0 < len(name) <= LONGEST_NAME and "/" not in name else None
        if batch is not None:
            return batch
        alike = [batch_id for batch_id in list_batches(self.store) if name and batch_id.startswith(name)]
        found = [batch for batch_id in alike if (batch := load_batch(self.store, batch_id)) is not None]
        if len(found) == 1:
            return found[0]
        if found:
            raise RequestError(f"{len(found)} batches start with {name!r}: {', '.join(b.batch_id for b in found[:5])}")
        name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
        raise NoBatch(f"no batch {name!r} in {self.store.redacted_url}: `nightpress status` lists them")


def _fitted(line: str, console: Console) -> Sequence[str]:
    """The line as it is; on a terminal that is narrower, broken between words, of which none is broken: a path can be copied."""
    if not console.is_terminal or len(line) <= console.width or "\n" in line:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(
        line.strip(),
        console.width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
