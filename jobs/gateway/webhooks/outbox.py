"""The outbox: events that are owed to webhooks, what came of each attempt to deliver them, and when the next is due."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from jobs.batches.batch import Moment, StoredRecord, Tenant
from jobs.batches.rounds import now
from jobs.gateway.batch_objects import seconds
from jobs.gateway.webhooks.hooks import EventType, Hook
from jobs.store.store import Store
from jobs.submissions.places import newest_first
from jobs.submissions.records import read, to_bytes

OWED: Final = "webhooks/owed"

SCHEDULE: Final = tuple(timedelta(seconds=s) for s in (0, 5, 5 * 60, 30 * 60, 2 * 3_600, 8 * 3_600, 24 * 3_600))
"""How long after the attempt before each attempt is due, give or take a tenth. After the last, an event is given up."""

GONE: Final = 410
"""A receiver that answers this switches its webhook off."""


class Event(StoredRecord):
    """An event that is owed to one webhook."""

    id: str
    type: EventType
    tenant: Tenant
    hook_id: str
    submission_id: str
    created_at: Moment

    @property
    def body(self) -> dict[str, Any]:
        """The body, in the form of OpenAI's events."""
        return {
            "id": self.id,
            "object": "event",
            "type": self.type,
            "created_at": seconds(self.created_at),
            "data": {"id": self.submission_id},
        }


class Attempt(StoredRecord):
    """What came of one attempt: the receiver's status, or why there was none. `is_last` ends the attempts."""

    number: int
    at: Moment
    status: int | None = None
    error: str | None = None
    is_last: bool = False

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took the event."""
        return self.status is not None and 200 <= self.status < 300


class Owed(StoredRecord):
    """Where an event lies that is not delivered, and the number of the attempt before which it was sent anew by hand, or 0."""

    path: str
    anew_after: int = 0


@dataclass(frozen=True, slots=True)
class Outbox:
    """The events of one store."""

    store: Store
    clock: Callable[[], datetime] = now

    def owe(self, hook: Hook, kind: EventType, submission_id: str, round_: int) -> Event:
        """Write down that a webhook is owed an event. The same call again is the same event."""
        digest = hashlib.sha256(f"{submission_id} {round_} {hook.id}".encode()).hexdigest()[:32]
        event = Event(
            id=f"evt_{digest}",
            type=kind,
            tenant=hook.tenant,
            hook_id=hook.id,
            submission_id=submission_id,
            created_at=self.clock(),
        )
        if not self.attempts(event.id):
            path = f"{_folder(hook.tenant, hook.id)}/{newest_first(event.created_at)}-{event.id}.json"
            if self.store.create(f"{OWED}/{event.id}", to_bytes(Owed(path=path))):
                self.store.create(path, to_bytes(event))
            else:  # a process that died may have left only the note
                self.event(event.id) or self.store.create(self._owed(event.id).path, to_bytes(event))  # type: ignore[union-attr]
        return event

    def owed(self) -> Sequence[str]:
        """Return the ids of the events that are not delivered."""
        return self.store.list(OWED)

    def event(self, event_id: str) -> Event | None:
        """Return an event that is owed; None if it is not owed any more."""
        owed = self._owed(event_id)
        return None if owed is None else read(self.store, owed.path, Event)

    def due_at(self, event: Event) -> datetime | None:
        """Return when the next attempt is due; None if there is none."""
        made, owed = self.attempts(event.id), self._owed(event.id)
        if owed is None:
            return None
        number = len(made) - owed.anew_after
        if not made or number == 0:
            return event.created_at
        if made[-1].is_last or number >= len(SCHEDULE):
            return None
        share = int(hashlib.sha256(f"{event.id} {number}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        return made[-1].at + SCHEDULE[number] * (0.9 + 0.2 * share)

    def attempts(self, event_id: str) -> list[Attempt]:
        """Return the attempts to deliver an event, the first one first."""
        names = sorted(self.store.list(f"webhooks/attempts/{event_id}"), key=lambda name: int(name.partition(".")[0]))
        found = [read(self.store, f"webhooks/attempts/{event_id}/{name}", Attempt) for name in names]
        return [one for one in found if one is not None]

    def note(self, event: Event, attempt: Attempt) -> None:
        """Write down what came of an attempt."""
        self.store.create(f"webhooks/attempts/{event.id}/{attempt.number}.json", to_bytes(attempt))
        if attempt.is_last:
            self.end(event.id)

    def end(self, event_id: str) -> None:
        """Owe an event no more."""
        self.store.discard(f"{OWED}/{event_id}")

    def log(self, hook: Hook, limit: int) -> list[Event]:
        """Return the last events of a webhook, the newest first."""
        folder = _folder(hook.tenant, hook.id)
        found = [read(self.store, f"{folder}/{name}", Event) for name in self.store.list(folder)[:limit]]
        return [one for one in found if one is not None]

    def send_anew(self, hook: Hook, event_id: str) -> Event | None:
        """Owe an event of a webhook once more, from now. Returns None if the webhook has no such event."""
        folder = _folder(hook.tenant, hook.id)
        name = next((one for one in self.store.list(folder) if one.endswith(f"-{event_id}.json")), None)
        event = None if name is None else read(self.store, f"{folder}/{name}", Event)
        if event is not None:
            self.end(event.id)
            owed = Owed(path=f"{folder}/{name}", anew_after=len(self.attempts(event.id)))
            self.store.create(f"{OWED}/{event.id}", to_bytes(owed))
        return event

    def _owed(self, event_id: str) -> Owed | None:
        return read(self.store, f"{OWED}/{event_id}", Owed)


def _folder(tenant: str, hook_id: str) -> str:
    return f"webhooks/tenant-{tenant}/events/{hook_id}"
