"""Lists the ids of the batches of a store: all, or only those of a tenant, since a time, or up to a number."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from jobs.batches.rounds import list_batches, load_batch, read_round
from jobs.errors import NoBatch, StoreDamaged
from jobs.store.damage import collect_damage
from jobs.store.store import Store


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice of batches for a listing. A field that is None does not limit it.

    Attributes:
        tenant: Only batches of this tenant.
        since: Only batches that were made or published at this moment or later.
        published: At most this many of the published batches: those that were published last.
    """

    tenant: str | None = None
    since: datetime | None = None
    published: int | None = None


ALL = Choice()
"""All batches of a store."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The ids of the open batches, oldest first, and of the published batches, newest first.

    `left_out` is the number of published batches that only `Choice.published` has left out.
    """

    unfinished: Sequence[str]
    published: Sequence[str]
    left_out: int

    @property
    def ids(self) -> Sequence[str]:
        """All ids of the listing, in its order."""
        return [*self.unfinished, *self.published]


def listing(
    store: Store,
    choice: Choice = ALL,
    faults: list[StoreDamaged] | None = None,
    names: Collection[str] | None = None,
) -> Listing:
    """List the batches of a store, or those of `names`. Raises StoreUnavailable.

    A damaged batch is left out, and its error is added to `faults`; without `faults`, the error is raised.
    """
    unfinished: list[tuple[datetime, str]] = []
    finished: list[tuple[datetime, str]] = []
    for batch_id in list_batches(store) if names is None else names:
        with collect_damage(faults), suppress(NoBatch):
            batch = load_batch(store, batch_id)
            if batch is None or choice.tenant not in (None, batch.tenant):
                continue
            done = read_round(store, batch).published
            latest = batch.created_at if done is None else done.at
            if choice.since is None or latest >= choice.since:
                (unfinished if done is None else finished).append((latest, batch_id))
    newest = [batch_id for _, batch_id in sorted(finished, reverse=True)]
    kept = newest[: choice.published]
    return Listing([batch_id for _, batch_id in sorted(unfinished)], kept, len(newest) - len(kept))
