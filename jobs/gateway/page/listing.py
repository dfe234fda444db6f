"""The batches of a tenant, as the page lists them: those that came over HTTP, and those that the command line made."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from jobs.batches.batch import Batch
from jobs.batches.rounds import load_batch
from jobs.errors import NoBatch, StoreDamaged
from jobs.gateway.batch_objects import ENDED, batch_status
from jobs.gateway.desk import Desk
from jobs.gateway.statuses import Seen
from jobs.operations.status import BatchStatus
from jobs.submissions.files import NoFile
from jobs.submissions.places import SUBMISSION
from jobs.submissions.records import Decision, Submission

A_PAGE: Final = 20
"""A page lists this many batches."""

FRESH_S: Final = 5.0
"""The batches of the command line are listed anew after this long."""

MOST_TENANTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A batch as the page shows it. `seen` is None until its file is read, and if it was refused."""

    id: str
    name: str
    created_at: datetime
    decision: Decision | None
    submission: Submission | None = None
    seen: Seen | None = None

    @property
    def status(self) -> str:
        """The status in OpenAI's words."""
        return batch_status(self.decision, self.seen)

    @property
    def state(self) -> str:
        """The state in our words where these say more, such as `loading` or `paused`."""
        if self.status != "in_progress" or self.seen is None:
            return self.status.replace("_", " ")
        return self.seen.status.state

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it changes by itself any more."""
        return self.status in ENDED

    @property
    def one(self) -> BatchStatus | None:
        """The numbers of the batch; None until there are some."""
        return None if self.seen is None else self.seen.status

    @property
    def deadline(self) -> datetime | None:
        """When rows without an outcome expire."""
        if self.submission is not None:
            return self.submission.deadline
        return None if self.seen is None else self.seen.batch.deadline


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the list. `after` and `skip` lead to the next one, and are None on the last."""

    batches: Sequence[Shown]
    after: str | None = None
    skip: int | None = None


@dataclass
class Direct:
    """The batches of tenants that came by no gateway, the newest first, each at most `FRESH_S` old. Safe between threads."""

    monotonic: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, Sequence[Batch]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, desk: Desk, tenant: str) -> Sequence[Batch]:
        """Return the batches of a tenant. Raises StoreUnavailable. A damaged one is left out."""
        with self._lock:
            known = self._known.get(tenant)
            if known is not None and self.monotonic() - known[0] < FRESH_S:
                return known[1]
        faults: list[StoreDamaged] = []
        found = []
        for batch_id in desk.client.batches(tenant=tenant, faults=faults):
            batch = load_batch(desk.store, batch_id)
            if batch is not None and not SUBMISSION.fullmatch(batch.run_key):
                found.append(batch)
        made = sorted(found, key=lambda batch: batch.created_at, reverse=True)
        with self._lock:
            if len(self._known) >= MOST_TENANTS:
                self._known.clear()
            self._known[tenant] = (self.monotonic(), made)
        return made


def listed(desk: Desk, direct: Direct, tenant: str, after: str | None = None, skip: int = 0) -> ListedPage:
    """Return a page of a tenant's batches, the newest first.

    `after` is the last submission of the page before, and `skip` how many batches of the command line the pages before had.
    """
    page = desk.journal.newest(tenant, A_PAGE, after)
    others = direct.of(desk, tenant)[skip : skip + A_PAGE]
    merged: list[Submission | Batch] = sorted(
        [*page.submissions, *others], key=lambda one: one.created_at, reverse=True
    )
    chosen = merged[:A_PAGE]
    sent = [one for one in chosen if isinstance(one, Submission)]
    taken = len(chosen) - len(sent)
    shown: list[Shown] = []
    for one in chosen:
        with suppress(NoBatch):  # its batch was deleted
            shown.append(of_submission(desk, one) if isinstance(one, Submission) else of_batch(desk, one))
    if len(merged) <= A_PAGE and not page.has_more and len(direct.of(desk, tenant)) <= skip + taken:
        return ListedPage(shown)
    return ListedPage(shown, sent[-1].id if sent else after, skip + taken)


def found(desk: Desk, tenant: str, batch_id: str) -> Shown:
    """Return one batch of a tenant, by the id of its submission or its own. Raises NoBatch, also for another tenant's."""
    submission = desk.journal.find(tenant, batch_id)
    if submission is not None:
        return of_submission(desk, submission)
    batch = None if SUBMISSION.fullmatch(batch_id) else load_batch(desk.store, batch_id)
    if batch is None or batch.tenant != tenant:
        raise NoFile(f"you have no batch {batch_id[:80]}")
    return of_batch(desk, batch)


def of_submission(desk: Desk, submission: Submission) -> Shown:
    """Return a submission as the page shows it. Raises NoBatch if its batch was deleted."""
    decision = desk.journal.decision(submission)
    is_made = decision is not None and decision.batch_id is not None
    seen = desk.statuses.of(str(decision.batch_id)) if decision is not None and is_made else None
    name = _name_of_file(desk, submission) if seen is None else seen.batch.name
    return Shown(submission.id, name, submission.created_at, decision, submission, seen)


def of_batch(desk: Desk, batch: Batch) -> Shown:
    """Return a batch of the command line as the page shows it. Raises NoBatch if it was deleted."""
    made = Decision(outcome="admitted", batch_id=batch.batch_id, rows=batch.rows, at=batch.created_at)
    return Shown(batch.batch_id, batch.name, batch.created_at, made, None, desk.statuses.of(batch.batch_id))


def _name_of_file(desk: Desk, submission: Submission) -> str:
    """Return the name of a submission's file, as far as it is known."""
    record = desk.files(submission.tenant).find(submission.input_file_id)
    return submission.input_file_id if record is None else record.filename
