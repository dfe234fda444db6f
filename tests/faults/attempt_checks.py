"""Checks the attempts of a batch's rows, as recorded in its segments."""

from collections import Counter
from collections.abc import Sequence

from jobs.batches.segments.line import Outcome


def attempts_too_many(lines: Sequence[Outcome], most: int) -> list[str]:
    """Return a sentence for each violation of I5.

    No attempt may have a number above `most`, and no row may fail more than `most` times in a round. An attempt whose lease ran
    out does not count, even if its worker wrote an outcome. If Redis forgot the leases of failing rows, rows may fail more often.
    """
    lost = {_lease(line) for line in lines if line.status == "crashed"}
    failed = Counter((line.round, line.row) for line in lines if line.status == "failed" and _lease(line) not in lost)
    beyond = [f"row {line.row}: attempt {line.attempt} in round {line.round}" for line in lines if line.attempt > most]
    return beyond + [
        f"row {row}: failed {n} times in round {round_}" for (round_, row), n in failed.items() if n > most
    ]


def _lease(line: Outcome) -> tuple[int, int, int, str]:
    return line.round, line.row, line.fence, line.claim_id
