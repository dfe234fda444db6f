"""A session holds what one call of the command line works with: a client, standard output and standard error.

The client is made when a command first asks for it. It connects to Redis only when the command uses the queue, so a command that
needs no Redis never waits for it. Tests give their own settings, queue, clock and sleep.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, cast

import orjson

from jobs.errors import NoBatch, QueueUnavailable, RequestError
from jobs.printable import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

    from jobs.batches.batch import Batch
    from jobs.client import Client
    from jobs.commands.views.table import Table
    from jobs.errors import StoreDamaged
    from jobs.lanes.redis_queue import RedisQueue
    from jobs.settings import Settings
    from jobs.store.store import Store

BATCH = "The batch's id, or its beginning."
"""The help of every argument that names a batch."""

ROW = "The row's number, from 0, or its custom_id; id:7 is the custom_id 7."
"""The help of every argument and option that names a row."""

LONGEST_NAME = 100
"""No batch id has more characters. A longer name is not looked up, because a file system may not take it."""

REDIS_REMEDY = "start a Redis 7 and set NIGHTPRESS_REDIS_URL, such as redis://localhost:6379/0"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Session:
    """One call of the command line.

    Attributes:
        given_settings: The settings. If None, the environment and nightpress.toml give the settings.
        given_queue: The queue. If None, the settings name the queue.
        clock: Returns the time, in UTC.
        sleep: Waits for a number of seconds.
    """

    given_settings: Settings | None = None
    given_queue: RedisQueue | None = None
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = field(default=time.sleep)

    @cached_property
    def client(self) -> Client:
        """The client, whose warnings go to standard error. Raises RequestError if a setting is wrong."""
        from jobs import logs
        from jobs.client import Client

        client = Client(self.given_settings, queue=self.given_queue, clock=self.clock, sleep=self.sleep)
        logs.show_warnings(client.settings.log_format)
        return client

    @property
    def settings(self) -> Settings:
        """The settings of this process. Raises RequestError if one of them is wrong."""
        return self.client.settings

    @property
    def store(self) -> Store:
        """The storage of the settings. Raises StoreUnavailable."""
        return self.client.store

    @property
    def queue(self) -> RedisQueue | None:
        """The queue, which may not answer; None if the settings name no Redis. Raises QueueUnavailable if its URL is wrong."""
        return self.client.queue

    def needed_queue(self) -> RedisQueue:
        """Return the queue, for a command that can do nothing without it. Raises QueueUnavailable if no Redis is set."""
        if self.queue is None:
            raise QueueUnavailable(f"no Redis is set: {REDIS_REMEDY}")
        return self.queue

    @cached_property
    def out(self) -> Console:
        """Standard output, for results: colour only on a terminal, and never under NO_COLOR."""
        from rich.console import Console

        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    @property
    def width(self) -> int:
        """The width of the terminal in columns: from COLUMNS, standard output or another stream; 80 if none is a terminal."""
        fallback = 80
        for stream in (sys.__stdin__, sys.__stderr__):
            with suppress(OSError, ValueError, AttributeError):  # a stream may be no terminal, closed, or missing
                fallback = os.get_terminal_size(cast("IO[str]", stream).fileno()).columns or fallback
        return shutil.get_terminal_size((fallback, 24)).columns

    @property
    def can_ask(self) -> bool:
        """Whether a person can read a question on standard error, and answer it on standard input."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def asks(self, question: str) -> bool:
        """Ask a question on standard error. Returns whether the answer is y or yes; no answer means no."""
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - as in `say`
        return sys.stdin.readline().strip().casefold() in ("y", "yes")

    def say(self, message: str) -> None:
        """Print one line for a person, on standard error. If this process logs JSON there, the line becomes an event."""
        from jobs import logs

        if logs.is_json():
            logs.logger().warning("command.message", message=message)
            return
        for line in _fitted(one_line(message), self.width if sys.stderr.isatty() else None):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints messages

    def write(self, line: str, *, at_once: bool = False) -> None:
        """Print one line of a result, on standard output. With `at_once` the line is flushed at once, even into a pipe."""
        for part in _fitted(printable(line), self.width if sys.stdout.isatty() else None):
            print(part, file=sys.stdout, flush=at_once)  # noqa: T201 - the one place that prints results

    def write_table(self, table: Table, *, gap: bool = False) -> None:
        """Print a table on standard output, laid out for the width of the terminal. With `gap`, an empty line comes first."""
        for line in ("",) * gap + tuple(table.lines(self.width)):
            print(line, file=sys.stdout)  # noqa: T201 - the one place that prints results

    def write_json(self, value: Any, *, indent: bool = False) -> None:
        """Print a JSON value on standard output. Unlike `write`, this method never breaks a line at the terminal's width."""
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()
        print(text, file=sys.stdout)  # noqa: T201 - the one place that prints results

    def say_damaged(self, faults: Sequence[StoreDamaged]) -> None:
        """Name the damaged batches that a command left out. Raises the last error, so the command ends with exit status 3."""
        for fault in faults[:-1]:
            self.say(f"nightpress: {fault}")
        if faults:
            raise faults[-1]

    def batch(self, name: str) -> Batch:
        """Return the batch whose id is `name`, or else the only batch whose id begins with `name`.

        Raises NoBatch if there is no such batch, RequestError if several ids begin with `name`.
        """
        from jobs.batches.rounds import list_batches, load_batch

        batch = load_batch(self.store, name) if 0 < len(name) <= LONGEST_NAME and "/" not in name else None
        if batch is not None:
            return batch
        alike = [batch_id for batch_id in list_batches(self.store) if name and batch_id.startswith(name)]
        found = [batch for batch_id in alike if (batch := load_batch(self.store, batch_id)) is not None]
        if len(found) == 1:
            return found[0]
        if found:
            raise RequestError(f"{len(found)} batches begin with {name!r}: {', '.join(b.batch_id for b in found[:5])}")
        name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
        raise NoBatch(f"no batch {name!r} in {self.store.redacted_url}: `nightpress status --all` lists them")

    def row(self, batch_id: str, name: str) -> int:
        """Return the number of the row that a person named. If another row may be meant, print a remark. Raises RequestError."""
        found = self.client.find_row(batch_id, name)
        if found.remark:
            self.say(f"nightpress: {found.remark}")
        return found.row


def _fitted(text: str, width: int | None) -> Sequence[str]:
    """Fit each line of a text to the terminal; None means that there is no terminal, and the text is returned whole."""
    if width is None:
        return [text]
    from jobs.commands.views.fitting import fitted

    return [part for line in text.split("\n") for part in fitted(line, width)]
