"""How many rows a key may still submit today."""

from datetime import UTC, datetime

from jobs.submissions.journal import Journal

_PAGE = 100


def rows_left(journal: Journal, tenant: str, key_id: str, rows_a_day: int | None, at: datetime) -> int | None:
    """Return how many rows a key may still have admitted on the day (UTC) of `at`; None if it may have any number."""
    if rows_a_day is None:
        return None
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows, after, has_more = 0, None, True
    while has_more:
        page = journal.newest(tenant, _PAGE, after)
        of_day = [one for one in page.submissions if one.created_at >= day]
        decisions = [journal.decision(one) for one in of_day if one.by == key_id]
        rows += sum(decision.rows for decision in decisions if decision is not None)
        has_more = page.has_more and len(of_day) == len(page.submissions)
        after = of_day[-1].id if of_day else None
    return max(0, rows_a_day - rows)
