"""Tidying deletes what nobody needs any more: contents of deleted files, expired uploads, claims of dead processes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from jobs.batches.rounds import now
from jobs.store.store import Store
from jobs.submissions.claims import Claim
from jobs.submissions.files import Files
from jobs.submissions.journal import Journal
from jobs.submissions.places import CLAIMS
from jobs.submissions.records import read
from jobs.submissions.uploads import Uploads

EVERY_S: Final = 300.0
"""Seconds between two tidyings of a gateway."""

_OLD: Final = timedelta(hours=1)
_FOLDER: Final = "tenant-"


def tidy(store: Store, clock: Callable[[], datetime] = now) -> None:
    """Delete what nobody needs. Submissions that wait to be decided keep their files. Raises StoreUnavailable."""
    journal = Journal(store, clock)
    waiting = [one for one in journal.waiting() if journal.undecided(one) is not None]
    needed = {
        (one.tenant, found.input_file_id) for one in waiting if (found := journal.find(one.tenant, one.id)) is not None
    }
    for folder in store.list("submissions"):
        if folder.startswith(_FOLDER):
            tenant = folder.removeprefix(_FOLDER)
            Files(store, tenant, clock).forget(frozenset(file for of, file in needed if of == tenant))
            Uploads(store, tenant, clock).forget()
    for name in store.list(CLAIMS):
        claim = read(store, f"{CLAIMS}/{name}", Claim)
        if claim is not None and claim.until + _OLD < clock():
            store.discard(f"{CLAIMS}/{name}")
