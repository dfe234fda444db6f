"""Opens a round for texts that repeat others: all but one row of each cluster that the audit of the last round has named.

The rows are renewed (rule 44 of jobs/PROTOCOL.md): each is told how the texts of its clusters begin, and keeps its published
text if it does not complete again, or if only the published text is fit. Clusters of translations are left alone, since a
translation must follow its source.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.batches.batch import Renewal
from jobs.batches.rounds import Clock, read_round, reopen, require_batch
from jobs.checks.batch.audit import MOST_BEGINNINGS
from jobs.checks.batch.report import Audit
from jobs.errors import RequestError
from jobs.publishing.auditing import Auditor

RENEWED: Final = ("near_duplicate", "same_opening")
"""The codes of clusters whose rows are written anew."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """A round that was opened for texts that repeat others. `left_out` counts the rows that repeat others and are not named."""

    round: int
    rows: int
    left_out: int


def reopen_same(auditor: Auditor, batch_id: str, deadline: datetime | None, clock: Clock) -> Reopened:
    """Open a further round for all but one of the rows of each named cluster. A round without an audit is audited first.

    Raises RequestError if the batch is open, or if no texts repeat others; ConflictError if another process reopens the batch at
    the same moment; NoBatch, StoreDamaged, StoreUnavailable.
    """
    store = auditor.store
    batch = require_batch(store, batch_id)
    done = read_round(store, batch).published
    if done is None:
        raise RequestError(f"batch {batch_id} is still open: wait for it, or cancel it first.")
    report = auditor.audit_round(batch, done)
    renews = renewals(report)
    if not renews:
        raise RequestError(f"no texts of {batch_id} repeat others: nothing is to be written anew")
    rows = sum(len(one.rows) for one in renews)
    marker = reopen(store, batch_id, None, deadline, clock, renews=renews, after=done.round)
    return Reopened(marker.round, rows, left_out(report, rows))


def left_out(report: Audit, renewed: int) -> int:
    """Return how many rows repeat others although they are not among the `renewed` ones, since the report does not name them."""
    names_all = not report.clusters_left_out and all(one.rows == len(one.row_numbers) for one in report.clusters)
    return 0 if names_all else max(0, sum(one.repeating for one in report.figures) - renewed)


def renewals(report: Audit) -> Sequence[Renewal]:
    """Return the rows to write anew, with what each must not repeat, so that at most one row of each cluster stays as it is.

    A row may be in a cluster of near-duplicates and in one of rows with the same opening. Of two clusters that share rows, a row
    that stays in the first stays in the second too, if it is the only one.
    """
    avoid: defaultdict[int, dict[str, None]] = defaultdict(dict)
    kept: set[int] = set()
    for cluster in report.clusters:
        if cluster.code not in RENEWED:
            continue
        staying = [row for row in cluster.row_numbers if row not in avoid]
        stays = next((row for row in staying if row in kept), staying[0] if staying else None)
        kept -= set(cluster.row_numbers)
        kept |= set() if stays is None else {stays}
        for row in cluster.row_numbers:
            if row != stays:
                avoid[row].update(dict.fromkeys(cluster.beginnings))
    rows_of: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, beginnings in avoid.items():
        rows_of[tuple(beginnings)[:MOST_BEGINNINGS]].append(row)
    return [Renewal(rows=tuple(sorted(rows)), avoid=texts) for texts, rows in rows_of.items()]
