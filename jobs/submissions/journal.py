"""The journal of submissions: what was submitted, what waits to be decided, and what came of it.

A submission is accepted when its file in the journal is written, which is created once. Its note of the time and its hints are
written before, so that whatever is accepted is listed and found; a note or a hint without a submission means nothing. What comes
of a submission is decided by one more file, which is created once too, so a cancellation and an admission cannot both be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.batches.rounds import now
from jobs.errors import ConflictError
from jobs.store.fan_out import each
from jobs.store.store import Store
from jobs.submissions.files import NoFile
from jobs.submissions.places import PENDING, SUBMISSION, WATCHED, TenantPaths
from jobs.submissions.records import Decision, Submission, read, to_bytes

STRAY_AGE: Final = timedelta(hours=1)
"""A hint without a submission is deleted after this time: the process that made it died before it accepted anything."""

_TIME_DIGITS: Final = 11


class KeyReused(ConflictError):
    """An idempotency key came again with another request."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A submission that waits to be decided."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of submissions, the newest first."""

    submissions: Sequence[Submission]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Journal:
    """All submissions of one store. Safe to share between threads."""

    store: Store
    clock: Callable[[], datetime] = now

    def submit(self, submission: Submission) -> tuple[Submission, bool]:
        """Accept a submission. Returns the one that stands under its id, and whether this call made it.

        Raises KeyReused if another request was submitted under the same id, and StoreUnavailable.
        """
        paths = TenantPaths(submission.tenant)
        standing = self.find(submission.tenant, submission.id)
        if standing is None:
            self.store.create(paths.time(submission.id, submission.created_at), b"")
            self.store.create(_hint(submission.tenant, submission.id), submission.created_at.isoformat().encode())
            self.watch(Waiting(submission.tenant, submission.id))
            if self.store.create(paths.submission(submission.id), to_bytes(submission)):
                return submission, True
            standing = self.find(submission.tenant, submission.id)
            if standing is not None and standing.created_at != submission.created_at:
                self.store.discard(paths.time(submission.id, submission.created_at))
        if standing is None or standing.request_sha256 != submission.request_sha256:
            raise KeyReused(
                "the idempotency key was used for another request before: give each batch a key of its own, and repeat a request "
                "without any change"
            )
        return standing, False

    def find(self, tenant: str, submission_id: str) -> Submission | None:
        """Return a submission; None if the tenant has none of this id."""
        if not SUBMISSION.fullmatch(submission_id):
            return None
        return read(self.store, TenantPaths(tenant).submission(submission_id), Submission)

    def get(self, tenant: str, submission_id: str) -> Submission:
        """Return a submission. Raises NoFile if the tenant has none of this id."""
        found = self.find(tenant, submission_id)
        if found is None:
            raise NoFile(f"no batch {submission_id[:80]}: GET /v1/batches lists your batches")
        return found

    def decision(self, submission: Submission) -> Decision | None:
        """Return what came of a submission; None if it is not decided."""
        return read(self.store, TenantPaths(submission.tenant).decided(submission.id), Decision)

    def decide(self, submission: Submission, decision: Decision) -> Decision:
        """Decide what came of a submission. Returns the decision that stands, which may be an earlier one."""
        path = TenantPaths(submission.tenant).decided(submission.id)
        self.store.create(path, to_bytes(decision))
        standing = self.decision(submission)
        self.store.discard(_hint(submission.tenant, submission.id))
        return standing or decision

    def newest(self, tenant: str, limit: int, after: str | None = None) -> Listing:
        """Return a page of a tenant's submissions, the newest first: those after the submission `after`.

        Raises NoFile if the tenant has no submission `after`.
        """
        paths = TenantPaths(tenant)
        names = self.store.list(paths.times)
        if after is not None:
            last = paths.time(after, self.get(tenant, after).created_at).rpartition("/")[2]
            names = [name for name in names if name > last]
        found: list[Submission] = []
        for start in range(0, len(names), limit + 1):
            some = each(lambda name: self._at(tenant, name), names[start : start + limit + 1], self.store.reads_at_once)
            found += [one for one in some if one is not None]
            if len(found) > limit:
                break
        return Listing(found[:limit], len(found) > limit)

    def waiting(self) -> list[Waiting]:
        """Return the submissions that may wait to be decided, of all tenants."""
        return self._hinted(PENDING)

    def watched(self) -> list[Waiting]:
        """Return the submissions whose end was not told to webhooks yet, of all tenants."""
        return self._hinted(WATCHED)

    def watch(self, waiting: Waiting) -> None:
        """Let the end of a submission be told to webhooks, when it comes."""
        self.store.create(f"{WATCHED}/{waiting.tenant}~{waiting.id}", self.clock().isoformat().encode())

    def unwatch(self, waiting: Waiting) -> None:
        """Note that the end of a submission was told."""
        self.store.discard(f"{WATCHED}/{waiting.tenant}~{waiting.id}")

    def forget_stray(self, waiting: Waiting) -> None:
        """Delete the hint that watches a submission which was never accepted, once it is old."""
        if self._is_stray(f"{WATCHED}/{waiting.tenant}~{waiting.id}"):
            self.unwatch(waiting)

    def undecided(self, waiting: Waiting) -> Submission | None:
        """Return a submission that waits; None if it is decided or was never accepted, and then its hint is deleted."""
        submission = self.find(waiting.tenant, waiting.id)
        if submission is not None and self.decision(submission) is None:
            return submission
        if submission is not None or self._is_stray(_hint(waiting.tenant, waiting.id)):
            self.store.discard(_hint(waiting.tenant, waiting.id))
        return None

    def _hinted(self, folder: str) -> list[Waiting]:
        pairs = (name.rpartition("~") for name in self.store.list(folder))
        return [Waiting(tenant, id_) for tenant, _, id_ in pairs if tenant and SUBMISSION.fullmatch(id_)]

    def _at(self, tenant: str, name: str) -> Submission | None:
        """Return the submission of a note of the time; None if the note means nothing."""
        found = self.find(tenant, name[_TIME_DIGITS + 1 :])
        if found is None or TenantPaths(tenant).time(found.id, found.created_at).rpartition("/")[2] != name:
            return None
        return found

    def _is_stray(self, hint: str) -> bool:
        try:
            made = datetime.fromisoformat(self.store.read(hint).decode())
        except (KeyError, ValueError):
            return True
        return made + STRAY_AGE < self.clock()


def _hint(tenant: str, submission_id: str) -> str:
    return f"{PENDING}/{tenant}~{submission_id}"
