"""What must hold of the attempts of a batch's rows, as its segments tell of them."""

from collections import Counter
from collections.abc import Sequence

from jobs.batches.segments.line import Outcome


def attempts_too_many(lines: Sequence[Outcome], most: int) -> list[str]:
    """I5: the attempts beyond the bound, a sentence each.

    No attempt has a higher number, and no row fails more often in a round. An attempt whose lease ran out costs none, also
    where its worker wrote of it. Where Redis forgot the leases of rows that fail, it may have them fail more often.
    """
    lost = {_lease(line) for line in lines if line.status == "crashed"}
    failed = Counter((line.round, line.row) for line in lines if line.status == "failed" and _lease(line) not in lost)
    beyond = [f"row {line.row}: attempt {line.attempt} in round {line.round}" for line in lines if line.attempt > most]
    return beyond + [
        f"row {row}: failed {n} times in round {round_}" for (round_, row), n in failed.items() if n > most
    ]


def _lease(line: Outcome) -> tuple[int, int, int, str]:
    return line.round, line.row, line.fence, line.claim_id
