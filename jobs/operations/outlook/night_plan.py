"""The plan of a night: for each lane when its batches are done, what further workers bring, and how many make the deadlines.

It starts and changes nothing. Where the accounts know nothing of a model, the plan says so and how to learn it; no figure is made
up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from jobs.accounts.experience import LEAST_ROWS, Experience
from jobs.batches.budgets.tenant_accounts import AccountState
from jobs.batches.outcome_index import OutcomeIndex
from jobs.lanes.protocol import LaneSnapshot
from jobs.operations.estimate import Estimate
from jobs.operations.outlook.backlogs import NOTHING, lengths_of, rate_of, slots_of
from jobs.operations.outlook.backlogs import backlogs as backlogs_of
from jobs.planning.backlog import Lane, Rate, Waiting
from jobs.planning.demand import Demand
from jobs.planning.fleet_plan import MOST_WORKERS, BatchEnd, LanePlan, batch_ends, divide, over_budget, plan_lane
from jobs.planning.intervals import Interval
from jobs.planning.slots import ASSUMED_SLOTS
from jobs.planning.speeds import KNOWN_NIGHTS
from jobs.prices import exact
from jobs.settings import Settings

FILE: Final = "the file"
"""The name that rows of a file have in a plan before they are enqueued."""


@dataclass(frozen=True, slots=True)
class LaneOutlook:
    """What is to come on one lane.

    `workers` are alive now; `now` are the ends of the batches if these stay. `plan` is None if nothing is known of the model, and
    `unknown` says then what is missing and how to learn it. `given` is the number of workers that fits the devices, if they are
    limited. `remarks` are sentences about what the figures rest on.
    """

    lane: str
    model: str
    waiting: tuple[Waiting, ...]
    workers: int
    now: tuple[BatchEnd, ...]
    plan: LanePlan | None
    unknown: str = ""
    given: int | None = None
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of all batches that have no outcome."""
        return sum(one.rows for one in self.waiting)


@dataclass(frozen=True, slots=True)
class NightPlan:
    """The plan of all lanes at one moment. `by` is the deadline that was asked for, `devices` the number of devices."""

    at: datetime
    currency: str
    lanes: tuple[LaneOutlook, ...]
    by: datetime | None = None
    devices: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `plan --json` prints. Times are in RFC 3339; `low` and `high` hold the end 9 times of 10."""
        return {
            "at": self.at,
            "by": self.by,
            "devices": self.devices,
            "currency": self.currency,
            "lanes": [self._lane(one) for one in self.lanes],
        }

    def _lane(self, one: LaneOutlook) -> dict[str, Any]:
        known: dict[str, Any] = {"unknown": one.unknown}
        if (plan := one.plan) is not None:
            known = {
                "device": plan.rate.device,
                "slots": plan.rate.slots,
                "least_workers": plan.least,
                "given_workers": one.given,
                "steps": [
                    {
                        "workers": step.workers,
                        **self.end_as_dict(step.end_s),
                        "sooner_s": round(step.sooner_s, 1),
                        "in_time": step.in_time,
                        "device_ns": step.cost.device_ns,
                        "device_cost": step.cost.device_cost,
                        "charge": step.cost.charge,
                    }
                    for step in plan.steps
                ],
                "reasons": [*plan.reasons, *one.remarks],
            }
        ends = plan.batches if plan is not None else ()
        return {
            "lane": one.lane,
            "model": one.model,
            "rows": one.rows,
            "workers": one.workers,
            "batches": self._batches(one, ends),
            "now": self._batches(one, one.now),
            **known,
        }

    def _batches(self, lane: LaneOutlook, ends: Sequence[BatchEnd]) -> list[dict[str, Any]]:
        of = {end.batch_id: end for end in ends}
        return [
            {
                "batch": one.batch_id,
                "rows": one.rows,
                "deadline": None if one.deadline_s is None else self.at + timedelta(seconds=one.deadline_s),
                **self.end_as_dict(None if end is None else end.end_s),
                "in_time": None if end is None else end.in_time,
                "charge": None if end is None else end.charge,
            }
            for one in lane.waiting
            for end in [of.get(one.batch_id)]
        ]

    def end_as_dict(self, end_s: Interval | None) -> dict[str, datetime | None]:
        """Return the moments of an end; None for ends that are not known or never come."""
        ends = (None, None, None) if end_s is None else (end_s.low, end_s.expected, end_s.high)
        return dict(zip(("low", "end", "high"), (self.moment(one) for one in ends), strict=True))

    def moment(self, seconds: float | None) -> datetime | None:
        """Return the moment in so many seconds; None if the calendar does not have it."""
        try:
            return None if seconds is None else self.at + timedelta(seconds=seconds)
        except OverflowError:
            return None


def plan_night(
    batches: Iterable[OutcomeIndex],
    snapshots: Mapping[str, LaneSnapshot],
    known: Experience,
    settings: Settings,
    at: datetime,
    *,
    by: datetime | None = None,
    devices: int | None = None,
    found: Estimate | None = None,
    accounts: Sequence[AccountState] = (),
) -> NightPlan:
    """Plan the lanes of open batches. With `by`, each batch is due then, if it is not due earlier. Nothing is read or started.

    A batch that is quoted counts whole, as if somebody had agreed. `devices` limits the devices of all lanes together. `found` is
    the estimate of a file whose rows are planned as if they were enqueued now. `accounts` are those of the budgets of tenants.
    """
    batches = list(batches)
    tenants = {index.batch.batch_id: index.batch.tenant for index in batches}
    demands = backlogs_of(batches, snapshots, known, settings, at, with_quoted=True)
    if found is not None:
        demands = _with_file(demands, found, snapshots, known, settings)
    if by is not None:
        demands = [_due(one, (by - at).total_seconds()) for one in demands]
    given = _given(demands, devices)
    lanes = [_outlook(one, snapshots.get(one.lane), known, settings, given.get(one.lane)) for one in demands]
    lanes = [*_with_tenants(_with_budgets(lanes), tenants, accounts)]
    return NightPlan(at, settings.prices.currency, tuple(lanes), by, devices)


def _with_budgets(lanes: Sequence[LaneOutlook]) -> Iterable[LaneOutlook]:
    """Yield the lanes, and say of each batch whose lanes only together take more than its budget that the budget ends."""
    ends = [end for lane in lanes if lane.plan is not None for end in lane.plan.batches]
    charges: Counter[str] = Counter()
    for end in ends:
        charges[end.batch_id] += end.charge
    told = {end.batch_id for end in ends if end.over_budget}
    for lane in lanes:
        over = [
            over_budget(one.batch_id)
            for one in lane.waiting
            if one.budget is not None and charges[one.batch_id] > one.budget and one.batch_id not in told
        ]
        yield replace(lane, remarks=(*lane.remarks, *over))


def _with_tenants(
    lanes: Iterable[LaneOutlook], tenants: Mapping[str, str], accounts: Sequence[AccountState]
) -> Iterable[LaneOutlook]:
    """Yield the lanes, and say of each budget of a tenant that its rows are expected to take more than it has left.

    `tenants` are those of the batches. What the budget holds for rows at work is counted as spent, so a budget that is said to
    end may just be enough for the last of them.
    """
    lanes = list(lanes)
    charges: Counter[str] = Counter()
    for end in (end for lane in lanes if lane.plan is not None for end in lane.plan.batches):
        charges[tenants.get(end.batch_id, "")] += end.charge
    over = [one for one in accounts if charges[one.tenant] > max(0, one.budget - one.held)]
    for lane in lanes:
        ours = {tenants.get(one.batch_id) for one in lane.waiting}
        yield replace(lane, remarks=(*lane.remarks, *(_in_words(one) for one in over if one.tenant in ours)))


def _in_words(account: AccountState) -> str:
    left = exact(max(0, account.budget - account.held), account.currency)
    return (
        f"The budget of the tenant {account.tenant} for {account.period} has {left} left, which is not enough for its rows: they "
        f"wait for the next one, from {account.until:%Y-%m-%d %H:%M}."
    )


def _due(demand: Demand, by_s: float) -> Demand:
    waiting = tuple(
        replace(one, deadline_s=by_s if one.deadline_s is None else min(one.deadline_s, by_s))
        for one in demand.backlog.waiting
    )
    return replace(demand, backlog=replace(demand.backlog, waiting=waiting))


def _with_file(
    demands: Sequence[Demand],
    found: Estimate,
    snapshots: Mapping[str, LaneSnapshot],
    known: Experience,
    settings: Settings,
) -> list[Demand]:
    """Return the backlogs with the rows of a file, which are as long as published rows of their kinds."""
    lanes = {one.lane: one for one in demands}
    for name in sorted({line.lane for line in found.lines}):
        ours = [line for line in found.lines if line.lane == name]
        rows, model = sum(line.rows - line.known_rows for line in ours), ours[0].model
        file = Waiting(FILE, rows)
        if (one := lanes.get(name)) is not None:
            lanes[name] = replace(one, backlog=replace(one.backlog, waiting=(*one.backlog.waiting, file)))
            continue
        seen = snapshots.get(name)
        workers = [] if seen is None else [worker for worker in seen.workers if worker.loading_s is None]
        lengths = lengths_of(known, model, {line.kind for line in ours}, 0, 0)
        rate = rate_of(known, model, workers, settings)
        backlog = Lane(model, lengths or NOTHING, (file,), known.waste(model))
        is_known = lengths is not None and rate is not None
        lanes[name] = Demand(name, backlog, rate if is_known else None, slots_of(model, workers, settings))
    return [lanes[name] for name in sorted(lanes)]


def _given(demands: Sequence[Demand], devices: int | None) -> Mapping[str, int]:
    """Divide the devices among the lanes of which the speed is known; nothing if they are not limited."""
    if devices is None:
        return {}
    lanes = [(one.lane, one.backlog, one.rate) for one in demands if one.rate is not None and one.may_run]
    largest = max((rate.devices for _, _, rate in lanes), default=Fraction(1))
    shares = divide([(backlog, rate) for _, backlog, rate in lanes], min(MOST_WORKERS, int(devices / largest)))
    return {lane: share for (lane, _, _), share in zip(lanes, shares, strict=True)}


def _outlook(
    demand: Demand, seen: LaneSnapshot | None, known: Experience, settings: Settings, given: int | None
) -> LaneOutlook:
    workers = 0 if seen is None else len(seen.workers)
    backlog, rate, model = demand.backlog, demand.rate, demand.backlog.model
    if rate is None:
        unknown = _unknown(model, known)
        return LaneOutlook(demand.lane, model, backlog.waiting, workers, (), None, unknown)
    now = batch_ends(backlog, {rate: workers}, settings.prices, loaded=True) if workers else ()
    most = MOST_WORKERS if given is None else max(1, given)
    plan = plan_lane(backlog, rate, settings.prices, most=most)
    remarks = list(_remarks(demand, rate, known, settings))
    if not demand.may_run:
        remarks.insert(0, f"The lane is paused; to go on: nightpress resume {demand.lane}.")
    if given == 0:
        remarks.insert(0, "The devices are not enough for this lane: the other lanes are later.")
    return LaneOutlook(demand.lane, model, backlog.waiting, workers, now, plan, given=given, remarks=tuple(remarks))


def _unknown(model: str, known: Experience) -> str:
    rows = known.sizes(model).rows
    count = "there are none" if not rows else "there is one" if rows == 1 else f"there are {rows}"
    return (
        f"Nothing is planned for {model}: {LEAST_ROWS} published rows of it must tell how long its rows are and how fast it is, "
        f"and {count}. To learn it, run a sample first: nightpress run FILE --limit 64."
    )


def _remarks(demand: Demand, rate: Rate, known: Experience, settings: Settings) -> Iterable[str]:
    model = demand.backlog.model
    speed = known.speeds(model).get(rate.device)
    if speed is None:
        yield "The speed is that of the live workers so far."
    elif speed.nights < KNOWN_NIGHTS:
        nights = f"{speed.nights} round{'s' * (speed.nights != 1)}"
        yield f"The speed is known from {nights}, so nights are taken to differ by {rate.spread:.0%}."
    else:
        yield f"The speed is known from {speed.nights} rounds, which differed by {rate.spread:.1%}."
    if not demand.slots:
        yield f"No worker has told how many rows it runs at once: {ASSUMED_SLOTS} are taken."
    if not rate.load_s:
        yield "How long the model takes to load is not known, so it is left out."
    if not settings.prices.of_device(rate.device) or settings.prices.without_price([model]):
        yield "Something has no price in the settings, so it costs nothing here."
