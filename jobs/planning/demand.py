"""Demand says how many workers each lane needs now: enough for its deadlines, and no more than its rows can keep busy.

A fleet asks this every few seconds, so an answer takes a few milliseconds a lane. Nothing here starts a worker.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.planning.backlog import Lane, Rate
from jobs.planning.fleet_plan import MOST_WORKERS, least_workers


@dataclass(frozen=True, slots=True)
class Demand:
    """The rows that one lane has to run, and what is known of its workers.

    `rate` is None as long as nothing is known of the model's speed or of its rows' lengths. `slots` is the number of rows that a
    worker runs at once; 0 if that is not known. `may_run` is False if the lane is paused.
    """

    lane: str
    backlog: Lane
    rate: Rate | None = None
    slots: int = 0
    may_run: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workers that one lane needs.

    `least` is the least number that keeps every deadline in 19 of 20 nights: 0 without rows, 1 if rows wait without a deadline or
    nothing is known of the model. `useful` is the number beyond which a further worker would have no row to begin. `in_time` is
    False if no number up to the limit keeps all deadlines; then `least` is `useful`. `reason` is a sentence for people.
    """

    least: int
    useful: int
    in_time: bool
    reason: str
    has_deadlines: bool = False

    @property
    def workers(self) -> int:
        """The number to run: `least` if every waiting row has a deadline and the speed is known, else as many as are useful."""
        return self.least if self.has_deadlines else self.useful


def workers_wanted(demands: Sequence[Demand], most: Mapping[str, int] | None = None) -> Mapping[str, Wanted]:
    """Return how many workers each lane needs, by the lane's name. `most` limits the lanes that it names."""
    limits = most or {}
    return {one.lane: wanted(one, min(MOST_WORKERS, limits.get(one.lane, MOST_WORKERS))) for one in demands}


def wanted(demand: Demand, most: int = MOST_WORKERS) -> Wanted:
    """Return how many workers a lane needs, at most `most`."""
    rows = demand.backlog.rows
    if not demand.may_run or rows <= 0 or most <= 0:
        return Wanted(0, 0, True, "no row waits" if demand.may_run else "the lane is paused")
    useful = min(most, math.ceil(rows / max(1, demand.slots)))
    due = [one for one in demand.backlog.waiting if one.rows and one.deadline_s is not None]
    if not due:
        return Wanted(1, useful, True, f"{rows:,} rows wait, and none has a deadline")
    if demand.rate is None:
        return Wanted(1, useful, True, "nothing is known yet of the model's speed")
    all_due = all(one.deadline_s is not None for one in demand.backlog.waiting if one.rows)
    if all((one.deadline_s or 0.0) <= 0 for one in due):
        return Wanted(useful, useful, False, "the deadline has passed", all_due)
    least = least_workers(demand.backlog, demand.rate, most=useful)
    if least is None:
        return Wanted(useful, useful, False, f"even {useful:,} workers may be late", all_due)
    return Wanted(least, useful, True, f"{least:,} workers keep every deadline", all_due)
