"""Shows the plan of a night to a person: for each lane what further workers bring, when its batches are done, and why."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.commands.views.batch import duration_in_words, rows_in_words
from jobs.commands.views.fitting import fitted
from jobs.commands.views.table import Table
from jobs.operations.outlook.night_plan import LaneOutlook, NightPlan
from jobs.planning.fleet_plan import LanePlan
from jobs.planning.intervals import Interval
from jobs.prices import NS_PER_HOUR, formatted

INTERVAL = "9 times of 10"
"""The title of columns with an interval: the end lies in it 9 times of 10."""


def plan_lines(found: NightPlan, width: int) -> Iterator[str]:
    """Yield the lines of all lanes for a terminal of `width` columns."""
    for number, one in enumerate(found.lanes):
        if number:
            yield ""
        yield from fitted(_heading(one), width)
        if one.plan is None:
            yield from fitted(one.unknown, width)
            continue
        for table in (_steps(found, one.plan), _batches(found, one, one.plan)):
            yield from (f"  {line}".rstrip() for line in table.lines(width - 2))
            yield ""
        for reason in (*_now(found, one), *one.plan.reasons, *one.remarks):
            yield from fitted(f"- {reason}", width)


def _heading(one: LaneOutlook) -> str:
    batches = f"{len(one.waiting):,} batch{'es' * (len(one.waiting) != 1)}"
    rows = f"{one.lane}: {rows_in_words(one.rows)} in {batches}"
    if one.plan is None:
        return rows
    slots = one.plan.rate.slots
    return f"{rows}, on {one.plan.rate.device or 'a device'}, {slots:,} row{'s' * (slots != 1)} at once by each worker"


def _steps(found: NightPlan, plan: LanePlan) -> Table:
    """Return the table of what each number of workers brings. The least number that is enough has a star."""
    rows = []
    for step in plan.steps:
        cost = formatted(step.cost.device_cost, found.currency).removesuffix(f" {found.currency}")
        star = " *" if step.workers == plan.least and _has_deadline(plan) else ""
        rows.append(
            (
                f"{step.workers:,}{star}",
                _moment(found, step.end_s.expected),
                _between(found, step.end_s),
                duration_in_words(step.sooner_s) if math.isfinite(step.sooner_s) else "",
                ("yes" if step.in_time else "no") if _has_deadline(plan) else "",
                f"{step.cost.device_ns / NS_PER_HOUR:,.2f}",
                cost,
            )
        )
    titles = ("workers", "done by", INTERVAL, "sooner", "in time", "device h", f"cost {found.currency}")
    return Table(titles, rows, texts=frozenset({0, 2, 4}))


def _batches(found: NightPlan, one: LaneOutlook, plan: LanePlan) -> Table:
    """Return the table of the batches, with the number of workers that the plan takes."""
    ends = {end.batch_id: end for end in plan.batches}
    rows = []
    for waiting in one.waiting:
        end = ends[waiting.batch_id]
        in_time = "" if end.in_time is None else "yes" if end.in_time else "no"
        due = "" if waiting.deadline_s is None else _moment(found, waiting.deadline_s)
        charge = formatted(end.charge, found.currency).removesuffix(f" {found.currency}")
        rows.append((waiting.batch_id, f"{waiting.rows:,}", due, _between(found, end.end_s), in_time, charge))
    workers = plan.least or one.given or plan.steps[-1].workers
    title = f"with {workers:,} worker{'s' * (workers != 1)}"
    return Table(
        (title, "rows", "due", INTERVAL, "in time", f"charge {found.currency}"), rows, texts=frozenset({0, 3, 4})
    )


def _now(found: NightPlan, one: LaneOutlook) -> Iterator[str]:
    """Yield what the workers that are alive now will do."""
    ends = [end.end_s for end in one.now]
    if ends:
        last = max(ends, key=lambda end: end.high)
        workers = f"{one.workers:,} worker{'s' * (one.workers != 1)}"
        yield f"With the {workers} of now it is done {_between(found, last)}."


def _has_deadline(plan: LanePlan) -> bool:
    return any(end.in_time is not None for end in plan.batches)


def _between(found: NightPlan, end_s: Interval) -> str:
    low, high = _moment(found, end_s.low), _moment(found, end_s.high)
    return low if low == high else f"{low} to {high}"


def _moment(found: NightPlan, seconds: float) -> str:
    """Return the moment in so many seconds by the local clock; with its day if that is not today or tomorrow morning."""
    at = found.moment(seconds) if math.isfinite(seconds) else None
    if at is None:
        return "never"
    return _shown(at, found.at)


def _shown(at: datetime, now: datetime) -> str:
    local = at.astimezone()
    if at - now < timedelta(hours=20):
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if at - now < timedelta(days=6) else f"{local:%Y-%m-%d}"
