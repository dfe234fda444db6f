"""The courier notices batches that have ended, and delivers the events that are owed."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpcore2
import orjson

from jobs.errors import ConflictError, NoBatch, StoreUnavailable
from jobs.gateway.batch_objects import ENDED, batch_status
from jobs.gateway.statuses import Statuses
from jobs.gateway.webhooks.addresses import CheckedBackend, ForbiddenAddress, Resolver, resolved
from jobs.gateway.webhooks.hooks import EventType, Hook, Hooks
from jobs.gateway.webhooks.outbox import GONE, SCHEDULE, Attempt, Event, Outbox
from jobs.logs import logger
from jobs.submissions.claims import Claims
from jobs.submissions.journal import Journal, Waiting
from jobs.submissions.tidying import EVERY_S as TIDY_S
from jobs.submissions.tidying import tidy

LOOK_S: Final = 2.0
"""Seconds between two looks at what is owed."""

LIMIT_S: Final = 15.0
"""A receiver has to answer within this long."""

AT_ONCE: Final = 8
"""At most this many events are delivered at once."""

_TYPES: Final[dict[str, EventType]] = {
    "completed": "batch.completed",
    "failed": "batch.failed",
    "expired": "batch.expired",
    "cancelled": "batch.cancelled",
}


@dataclass
class Courier:
    """Notices the ends of batches, and delivers events. One thread at a time may call `look`.

    Attributes:
        journal: The submissions.
        statuses: The statuses of their batches.
        hooks: The webhooks.
        networks: The private networks that may be reached.
        resolve: Returns the addresses of a host.
        limit_s: Seconds that a receiver has to answer.
    """

    journal: Journal
    statuses: Statuses
    hooks: Hooks
    networks: tuple[str, ...] = ()
    resolve: Resolver = resolved
    limit_s: float = LIMIT_S
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.journal.store, self.journal.clock)
        self._claims = Claims(self.journal.store, f"courier-{os.getpid()}-{os.urandom(4).hex()}", self.journal.clock)

    def look(self) -> int:
        """Notice what has ended, and deliver what is due. Returns how many events were tried. Raises StoreUnavailable."""
        for one in self.journal.watched():
            self._notice(one)
        due = [event for event_id in self.outbox.owed() if (event := self._due(event_id)) is not None]
        if due:
            with ThreadPoolExecutor(min(AT_ONCE, len(due))) as pool:
                list(pool.map(self._deliver_claimed, due))
        return len(due)

    def deliver(self, event: Event) -> Attempt:
        """Try to deliver an event now, and write down what came of it."""
        number = len(self.outbox.attempts(event.id)) + 1
        hook = self.hooks.find(event.tenant, event.hook_id)
        attempt = Attempt(number=number, at=self.journal.clock(), error="the webhook is off", is_last=True)
        if hook is not None and hook.enabled:
            attempt = self._tried(hook, event, number)
        self.outbox.note(event, attempt)
        if hook is not None and attempt.status == GONE:
            with suppress(ConflictError):
                self.hooks.change(hook, {"enabled": False, "off_because": "its receiver answered 410 Gone"})
        logger().info(
            "webhook.delivered" if attempt.is_delivered else "webhook.failed",
            webhook=event.hook_id,
            webhook_event=event.id,
            attempt=number,
            status=attempt.status,
            error=attempt.error,
        )
        return attempt

    def _notice(self, waiting: Waiting) -> None:
        """Owe the events of a submission if it has ended."""
        submission = self.journal.find(waiting.tenant, waiting.id)
        decision = None if submission is None else self.journal.decision(submission)
        if submission is None or decision is None:
            if submission is None:
                self.journal.forget_stray(waiting)
            return
        round_, seen = 0, None
        if decision.batch_id is not None:
            try:
                seen = self.statuses.of(decision.batch_id)
            except NoBatch:
                self.journal.unwatch(waiting)
                return
            round_ = seen.status.round
        status = batch_status(decision, seen)
        if status in ENDED:
            for hook in self.hooks.listed(waiting.tenant):
                if hook.enabled and _TYPES[status] in hook.events and hook.created_at <= self.journal.clock():
                    self.outbox.owe(hook, _TYPES[status], waiting.id, round_)
            self.journal.unwatch(waiting)

    def _due(self, event_id: str) -> Event | None:
        event = self.outbox.event(event_id)
        due_at = None if event is None else self.outbox.due_at(event)
        if event is None or due_at is None:
            self.outbox.end(event_id)
            return None
        return event if due_at <= self.journal.clock() else None

    def _deliver_claimed(self, event: Event) -> None:
        if self._claims.take(event.id) is None:
            return
        try:
            still = self._due(event.id)
            if still is not None:
                self.deliver(still)
        finally:
            self._claims.give_up(event.id)

    def _tried(self, hook: Hook, event: Event, number: int) -> Attempt:
        body, at = orjson.dumps(event.body), self.journal.clock()
        timestamp = int(at.timestamp())
        headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/json",
            "user-agent": "nightpress",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self.hooks.signatures(hook, event.id, timestamp, body),
        }
        status, error = None, None
        try:
            status = self._posted(hook.url, headers, body)
            error = None if 200 <= status < 300 else f"the receiver answered {status}"
        except ForbiddenAddress as wrong:
            error = str(wrong)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as failed:
            error = f"{type(failed).__name__}: {failed}"[:300]
        is_last = error is None or status == GONE or number >= len(SCHEDULE)
        return Attempt(number=number, at=at, status=status, error=error, is_last=is_last)

    def _posted(self, url: str, headers: dict[bytes | str, bytes | str], body: bytes) -> int:
        """Send a body, and return the status. What else the receiver answers is not read."""
        backend = CheckedBackend(self.networks, self.limit_s, self.resolve)
        with (
            httpcore2.ConnectionPool(network_backend=backend) as pool,
            pool.stream("POST", url, headers=headers, content=body, extensions=_timeouts(self.limit_s)) as response,
        ):
            return int(response.status)


@dataclass
class CourierThread:
    """A thread that lets a courier look, and tidies from time to time."""

    courier: Courier
    monotonic: Callable[[], float] = time.monotonic
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once what it delivers now has ended."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        tidied_at = float("-inf")
        while not self._ended.wait(LOOK_S):
            with suppress(StoreUnavailable):  # the clerk logs it
                self.courier.look()
                if self.monotonic() - tidied_at > TIDY_S:
                    tidied_at = self.monotonic()
                    tidy(self.courier.journal.store, self.courier.journal.clock)


def _timeouts(limit_s: float) -> dict[str, dict[str, float]]:
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limit_s)}
