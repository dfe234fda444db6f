"""A claim says which process works on a submission, and until when. It saves work, and decides nothing.

A claim is a file that is created once: `<submission>.<n>.json` has its holder and its end. The holder renews it by creating the
next one in time; when the end has passed, whoever creates the next one has the submission. If clocks disagree, two processes do
the same work, and both come to the same batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from jobs.batches.batch import Moment, StoredRecord
from jobs.batches.rounds import now
from jobs.store.store import Store
from jobs.submissions.places import CLAIMS
from jobs.submissions.records import read, to_bytes

TERM: Final = timedelta(seconds=60)
"""A claim lasts this long. Its holder renews it after a third of it."""


class Claim(StoredRecord):
    """One claim of a submission. `takes` counts how many processes have had it, this one among them."""

    number: int
    holder: str
    until: Moment
    takes: int


@dataclass
class Claims:
    """The claims of one process, which is named `holder`."""

    store: Store
    holder: str
    clock: Callable[[], datetime] = now
    _held: dict[str, Claim] = field(default_factory=dict)

    def take(self, submission_id: str) -> Claim | None:
        """Claim a submission. Returns None while a claim lasts, also one of ours: what failed is not tried again at once."""
        latest = self._latest(submission_id)
        if latest is not None and self.clock() < latest.until:
            return None
        return self._create(submission_id, latest, 1 if latest is None else latest.takes + 1)

    def renew(self, submission_id: str) -> Claim | None:
        """Make our claim last longer. Returns None if another process has the submission now."""
        latest = self._latest(submission_id)
        if latest is None or latest.holder != self.holder:
            return None
        return self._create(submission_id, latest, latest.takes)

    def excuse(self, submission_id: str) -> None:
        """Let our last take not count, since its process failed for a reason that is not the submission's."""
        latest = self._latest(submission_id)
        if latest is not None and latest.holder == self.holder:
            self._create(submission_id, latest, max(0, latest.takes - 1))

    def _create(self, submission_id: str, latest: Claim | None, takes: int) -> Claim | None:
        """Create the claim after the latest one. Returns None if another process was quicker."""
        number = 1 if latest is None else latest.number + 1
        claim = Claim(number=number, holder=self.holder, until=self.clock() + TERM, takes=takes)
        if not self.store.create(_path(submission_id, number), to_bytes(claim)):
            return None
        if latest is not None:
            self.store.discard(_path(submission_id, latest.number))
        self._held[submission_id] = claim
        return claim

    def give_up(self, submission_id: str) -> None:
        """Delete our claim, since the submission is decided."""
        claim = self._held.pop(submission_id, None)
        if claim is not None:
            self.store.discard(_path(submission_id, claim.number))

    def _latest(self, submission_id: str) -> Claim | None:
        numbers = [
            int(number)
            for name in self.store.list(CLAIMS)
            if (number := name.removeprefix(f"{submission_id}.").removesuffix(".json")).isdecimal()
            and name.startswith(f"{submission_id}.")
        ]
        return read(self.store, _path(submission_id, max(numbers)), Claim) if numbers else None


def _path(submission_id: str, number: int) -> str:
    return f"{CLAIMS}/{submission_id}.{number}.json"
