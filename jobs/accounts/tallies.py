"""Tallies add up what published batches used, cost and are charged, by one of five keys.

Tallies come from the summaries of published rounds. A later round of a batch counts with its difference to the round before, at
the time when the later round was published. A batch that was deleted stays in the accounts.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, assert_never

from jobs.accounts.summaries import summaries
from jobs.accounts.summary import Group, Summary, Tally
from jobs.errors import StoreDamaged
from jobs.store.store import Store

Key = Literal["tenant", "model", "batch", "kind", "day"]


def tallies(
    store: Store,
    by: Key,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    faults: list[StoreDamaged] | None = None,
    tenant: str | None = None,
) -> Mapping[str, Mapping[str, Tally]]:
    """Add up the rounds that were published from `since` on and before `until`. Returns the sums by currency, then by key.

    With `tenant`, only its rows count. `faults` gets errors that name the damaged files and batches that the sums lack; without
    `faults` the first error is raised.
    Raises StoreUnavailable.
    """
    found: dict[str, dict[str, Tally]] = {}
    for summary in summaries(store, faults):
        if (since is not None and summary.at < since) or (until is not None and summary.at >= until):
            continue
        for currency, added in summary.added.items():
            sums = found.setdefault(currency, {})
            for group, tally in added.items():
                if tenant not in (None, group[0]):
                    continue
                key = _key(summary, group, by)
                sums[key] = sums.get(key, Tally()) + tally
    return {
        currency: {key: tally for key, tally in sorted(sums.items()) if tally != Tally()}
        for currency, sums in sorted(found.items())
    }


def _key(summary: Summary, group: Group, by: Key) -> str:
    tenant, model, kind, _ = group
    match by:
        case "tenant":
            return tenant
        case "model":
            return model
        case "kind":
            return kind
        case "batch":
            return summary.batch_id
        case "day":
            return summary.at.date().isoformat()
        case _:
            assert_never(by)
