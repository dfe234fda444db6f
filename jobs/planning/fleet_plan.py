"""A plan says how many workers a lane needs for its deadlines, what each further one brings, what it costs, and why.

Batches of a lane take turns row by row, so a batch of N rows is done when every other batch had as many of its rows, or all of
them. The least number of workers is found by search: the end falls with each further worker. Nothing here starts a worker.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final

from jobs.planning.backlog import Crew, Lane, Rate, Waiting
from jobs.planning.forecast import SURE, Forecast, device_seconds
from jobs.planning.intervals import Interval
from jobs.prices import NS_PER_HOUR, Prices, divided
from jobs.usage import Usage

MOST_WORKERS: Final = 10_000
"""A plan never asks for more workers of one lane than this."""
_MOST_COMPARED: Final = 200
"""A batch is compared with at most this many others, to leave it out if it is in time whenever another is."""
SHOWN_STEPS: Final = 8
"""A plan tells what at most this many numbers of workers bring."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a lane takes: device time in nanoseconds, and its cost and the charge in billionths of the currency.

    `device_ns` counts each device from its worker's start to the lane's end, idle slots included.
    """

    device_ns: int
    device_cost: int
    charge: int


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """When one batch is done, in seconds from now. `in_time`: whether its deadline is kept in 19 of 20 nights; None without one.

    `charge` is the expected charge in billionths; `over_budget` says whether the batch's budget ends before its rows.
    """

    batch_id: str
    end_s: Interval
    in_time: bool | None
    charge: int
    over_budget: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a number of workers brings: the lane's end, and how much earlier it is expected than with one worker fewer."""

    workers: int
    end_s: Interval
    sooner_s: float
    in_time: bool
    cost: Cost


@dataclass(frozen=True, slots=True)
class LanePlan:
    """The plan of one lane. `least` is the least number of workers at `rate` that keeps all deadlines; None if no number does.

    `steps` begins with one worker; `reasons` are sentences for people.
    """

    model: str
    rate: Rate
    least: int | None
    steps: tuple[Step, ...]
    batches: tuple[BatchEnd, ...]
    reasons: tuple[str, ...]


def plan_lane(lane: Lane, rate: Rate, prices: Prices, *, most: int = MOST_WORKERS, loaded: bool = False) -> LanePlan:
    """Plan a lane on devices of one rate. `most` workers at most; `loaded`: they hold the model already."""
    ends = _Ends(lane, loaded)
    least = ends.least(rate, most)
    chosen = least or most
    counts = sorted({*range(1, min(most, SHOWN_STEPS - 2) + 1), max(1, chosen - 1), chosen, min(most, chosen + 1)})
    steps = tuple(_step(ends, rate, prices, workers) for workers in counts) if lane.rows else ()
    batches = ends.batches({rate: chosen}, prices)
    return LanePlan(lane.model, rate, least, steps, batches, tuple(_reasons(lane, rate, least, most, batches)))


def cheapest(lane: Lane, rates: Sequence[Rate], prices: Prices, free: Mapping[str, int]) -> LanePlan | None:
    """Return the plan on the device that keeps the deadlines for the least device cost; if none does, the one that ends first.

    `free` is the number of free devices by name; a device that it does not name is not used. None if no device fits.
    """
    plans = [
        plan_lane(lane, rate, prices, most=most)
        for rate in rates
        if (most := min(MOST_WORKERS, int(Fraction(free.get(rate.device, 0)) / rate.devices))) > 0
    ]
    kept = [plan for plan in plans if plan.least is not None]
    if kept:
        ends = _Ends(lane, False)
        return min(kept, key=lambda plan: _cost(ends, plan.rate, prices, plan.least or 1).device_cost)
    return min(plans, key=lambda plan: max((end.end_s.high for end in plan.batches), default=0.0), default=None)


def divide(lanes: Sequence[tuple[Lane, Rate]], workers: int) -> Sequence[int]:
    """Divide a number of workers among lanes: each further one goes to the lane that ends the latest after its deadline.

    A lane without a deadline counts as due now, once all others are in time.
    """
    given = [0] * len(lanes)
    ends = [_Ends(lane, False) for lane, _ in lanes]

    def lateness(n: int) -> tuple[float, float, int]:
        lane, rate = lanes[n]
        end_s = ends[n].forecast.by({rate: given[n]}) if lane.rows else -1.0
        return max(0.0, ends[n].lateness({rate: given[n]})), end_s, -n

    late = {n: lateness(n) for n in range(len(lanes))}
    for _ in range(workers if lanes else 0):
        latest = max(late, key=lambda n: late[n])
        given[latest] += 1
        late[latest] = lateness(latest)
    return given


def least_workers(
    lane: Lane, rate: Rate, *, most: int = MOST_WORKERS, loaded: bool = False, sure: bool = True
) -> int | None:
    """Return the least number of workers with which each batch is done before its deadline in 19 of 20 nights.

    None if `most` are not enough. With `sure=False` the expected end counts, so that about one night in two is late.
    A lane without rows needs none, a lane without deadlines one.
    """
    return _Ends(lane, loaded).least(rate, most, sure=sure)


def batch_ends(lane: Lane, crew: Crew, prices: Prices, *, loaded: bool = False) -> tuple[BatchEnd, ...]:
    """Return when each batch of the lane is published, what it is charged, and whether its budget is enough."""
    return _Ends(lane, loaded).batches(crew, prices)


class _Ends:
    """The ends of a lane's batches, for any crew. `loaded`: the crew's models are loaded.

    A batch is published when its last row is done in its turn, but not before it may be.
    """

    def __init__(self, lane: Lane, loaded: bool) -> None:
        self.lane = lane
        self.loaded = loaded
        self.forecast = Forecast(lane)
        waiting = sorted(one.rows for one in lane.waiting)
        sums = [0, *accumulate(waiting)]
        self._before = {rows: sums[n] + rows * (len(waiting) - n) for n, rows in enumerate(waiting)}
        due = [(self.turn(one), one.deadline_s) for one in lane.waiting if one.rows and one.deadline_s is not None]
        self._due = [
            one
            for one in due  # a batch whose turn is no later and whose deadline is no sooner than another's is in time with it
            if not any(other[0] >= one[0] and other[1] <= one[1] and other != one for other in due[:_MOST_COMPARED])
        ]

    def turn(self, one: Waiting) -> int:
        """Return how many rows of the lane are done when the last row of a batch is done, since batches take turns row by row."""
        return self._before[one.rows] if one.rows else 0

    def lateness(self, crew: Crew, *, sure: bool = True) -> float:
        """Return by how many seconds the end of the latest batch passes its deadline; below 0 if all are in time."""
        share = SURE if sure else 0.5
        ends: dict[int, float] = {}
        late = -math.inf
        for rows, deadline_s in self._due:
            if rows not in ends:
                ends[rows] = self.forecast.by(crew, rows, share, running=self.loaded)
            late = max(late, ends[rows] - deadline_s)
        return late

    def least(self, rate: Rate, most: int, *, sure: bool = True) -> int | None:
        """Return the least number of workers that keeps all deadlines; None if `most` do not."""
        if not self.lane.rows:
            return 0
        low, high = 1, 1
        while self.lateness({rate: high}, sure=sure) > 0:
            if high >= most:
                return None
            low, high = high + 1, min(most, high * 2)
        while low < high:
            middle = (low + high) // 2
            if self.lateness({rate: middle}, sure=sure) > 0:
                low = middle + 1
            else:
                high = middle
        return low

    def batches(self, crew: Crew, prices: Prices) -> tuple[BatchEnd, ...]:
        """Return when each batch is published by this crew, what it is charged, and whether its budget is enough."""
        ends = []
        for one in self.lane.waiting:
            end_s = self.forecast.end(crew, self.turn(one), running=self.loaded)
            sure_s = self.forecast.by(crew, self.turn(one), running=self.loaded)
            in_time = None if one.deadline_s is None else sure_s <= one.deadline_s
            end_s = Interval(*(max(end, one.publish_at_s) for end in (end_s.low, end_s.expected, end_s.high)))
            charge = charge_of(self.lane, one.rows, prices)
            ends.append(BatchEnd(one.batch_id, end_s, in_time, charge, one.budget is not None and charge > one.budget))
        return tuple(ends)


def charge_of(lane: Lane, rows: int, prices: Prices) -> int:
    """Return the expected charge of rows with the lane's lengths, in billionths of the currency; exact for whole tokens."""
    tokens = (_tokens(sketch.total, rows, sketch.count) for sketch in (lane.lengths.prompt, lane.lengths.completion))
    prompt, completion = tokens
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    return prices.price(usage, model=lane.model, device="").charge


def _tokens(total: int, rows: int, known: int) -> int:
    return divided(total * rows, known) if known else 0


def _cost(ends: _Ends, rate: Rate, prices: Prices, workers: int) -> Cost:
    end_s = ends.forecast.by({rate: workers}, share=0.5, running=ends.loaded)
    device_ns = int(Fraction(end_s) * 1_000_000_000 * workers * rate.devices) if math.isfinite(end_s) else 0
    device_cost = divided(device_ns * prices.of_device(rate.device), NS_PER_HOUR)
    return Cost(device_ns, device_cost, charge_of(ends.lane, ends.lane.rows, prices))


def _step(ends: _Ends, rate: Rate, prices: Prices, workers: int) -> Step:
    end_s = ends.forecast.end({rate: workers}, running=ends.loaded)
    fewer = ends.forecast.by({rate: workers - 1}, share=0.5, running=ends.loaded)
    in_time = ends.lateness({rate: workers}) <= 0
    return Step(workers, end_s, fewer - end_s.expected, in_time, _cost(ends, rate, prices, workers))


def _reasons(lane: Lane, rate: Rate, least: int | None, most: int, batches: Sequence[BatchEnd]) -> list[str]:
    """Return the sentences that explain a plan."""
    if not lane.rows:
        return ["No row waits, so no worker is needed."]
    known = lane.lengths.completion.count
    hours = device_seconds(lane, rate) / 3600
    reasons = [
        f"{lane.rows:,} rows take about {hours:.1f} hours of one {rate.device} worker, by the lengths of {known:,} rows."
    ]
    if lane.due_s is None:
        reasons.append("No batch has a deadline, so one worker is enough.")
    elif least is None:
        late = [end.batch_id for end in batches if end.in_time is False]
        reasons.append(f"Even {most:,} worker{'s' * (most != 1)} may be late for {', '.join(late)}.")
    elif least == 1:
        reasons.append("One worker keeps every deadline in 19 of 20 nights.")
    else:
        reasons.append(f"{least:,} workers keep every deadline in 19 of 20 nights, and fewer do not.")
    reasons += [over_budget(end.batch_id) for end in batches if end.over_budget]
    return reasons


def over_budget(batch_id: str) -> str:
    """Return the sentence that says of a batch that it stops before its end."""
    return f"The budget of {batch_id} ends before its rows."
