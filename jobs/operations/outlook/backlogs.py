"""The backlogs of lanes: what waits on each, from the open batches and the queue, and how long it takes, from the accounts.

The lengths of rows that wait are those of published rows of the same model and kinds. They are scaled if the batches expect
longer or shorter rows than those batches did. The speed is the one that published rows had on the device of the lane's
workers; without any, the one that the live workers have shown since they began.

    backlogs(batches, snapshots, Experience.read(store), settings, now)
    -> workers_wanted(...) of jobs/planning/demand.py
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Final

from jobs.accounts.experience import Experience
from jobs.batches.outcome_index import OutcomeIndex
from jobs.lanes.protocol import LaneSnapshot, WorkerRecord
from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.demand import Demand
from jobs.planning.fleet_plan import charge_of
from jobs.planning.sizes import Sizes
from jobs.planning.sketch import Sketch
from jobs.planning.slots import ASSUMED_SLOTS, card_slots
from jobs.planning.speeds import NS, UNKNOWN_SPREAD, Speed
from jobs.prices import Prices
from jobs.settings import Settings

SAMPLED: Final = 1_024
"""A batch that is being quoted has at most this many rows to run on a lane until somebody agrees."""
LIVE_TOKENS: Final = 2_000
"""The speed of live workers counts once they have written this many completion tokens."""


def backlogs(
    batches: Iterable[OutcomeIndex],
    snapshots: Mapping[str, LaneSnapshot],
    known: Experience,
    settings: Settings,
    at: datetime,
    *,
    with_quoted: bool = False,
) -> list[Demand]:
    """Return the backlog of each lane on which rows of open batches wait, by the lane's name. Nothing is read from storage.

    `batches` are the indexes of open batches, as fresh as their last refresh. `snapshots` are those of the lanes; a lane may be
    missing. Batches that are paused or closed, or whose deadline has passed, do not count. A batch that is being quoted counts
    with `SAMPLED` rows at most, and one whose quote waits for an answer does not count; with `with_quoted`, both count whole.
    """
    waiting: defaultdict[str, list[Waiting]] = defaultdict(list)
    models: dict[str, str] = {}
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    expected: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for index in batches:
        current = index.current
        if index.closed is not None or index.done is not None or current.paused is not None:
            continue
        if current.awaits_answer and not with_quoted:
            continue
        most = SAMPLED if current.quoting is not None and not with_quoted else index.batch.rows
        deadline_s = None if index.deadline is None else (index.deadline - at).total_seconds()
        if deadline_s is not None and deadline_s <= 0:
            continue
        batch = index.batch
        publish_at_s = 0.0 if batch.publish_at is None else max(0.0, (batch.publish_at - at).total_seconds())
        for lane, left in rows_left(index, snapshots).items():
            rows = min(left, most)
            ours = batch.lanes[lane]
            models[lane] = ours.model
            kinds[lane].update(batch.kinds)
            if rows:
                budget = _unspent(index, settings)
                waiting[lane].append(Waiting(batch.batch_id, rows, deadline_s, publish_at_s, budget))
                expected[lane][0] += rows
                expected[lane][1] += ours.cost * rows // max(1, ours.rows)
    found = []
    for lane in sorted(waiting):
        model = models[lane]
        lengths = lengths_of(known, model, kinds[lane], *expected[lane])
        seen = snapshots.get(lane)
        workers = [] if seen is None else [one for one in seen.workers if one.loading_s is None]
        rate = rate_of(known, model, workers, settings)
        backlog = Lane(model, lengths or NOTHING, tuple(waiting[lane]), known.waste(model))
        is_known = lengths is not None and rate is not None
        may_run = seen is None or not seen.paused
        found.append(Demand(lane, backlog, rate if is_known else None, slots_of(model, workers, settings), may_run))
    return found


def paid_for(demands: Iterable[Demand], prices: Prices) -> list[Demand]:
    """Return the backlogs with no more rows of a batch than its budget is expected to pay for, as a fleet needs them.

    A batch pauses when its budget ends. Nothing is left out where the lengths of rows are not known.
    """
    return [_with_paid(one, prices) for one in demands]


def _with_paid(demand: Demand, prices: Prices) -> Demand:
    lane = demand.backlog
    waiting = []
    for one in lane.waiting:
        charge = charge_of(lane, one.rows, prices)
        is_over = one.budget is not None and charge > one.budget
        rows = -(-one.rows * (one.budget or 0) // charge) if is_over else one.rows
        waiting.append(replace(one, rows=rows))
    return replace(demand, backlog=replace(lane, waiting=tuple(waiting)))


def _unspent(index: OutcomeIndex, settings: Settings) -> int | None:
    """Return what a batch may still be charged; None if it has no budget, or one in another currency than the prices."""
    book = index.book
    if book is None or book.unspent is None or book.currency != settings.prices.currency:
        return None
    return max(0, book.unspent)


NOTHING: Final = Lengths(Sketch(), Sketch())
"""The lengths of rows of which nothing is known."""


def rows_left(index: OutcomeIndex, snapshots: Mapping[str, LaneSnapshot]) -> Mapping[str, int]:
    """Return how many rows of a batch have no outcome, by lane.

    If the batch has several lanes, the queue tells the number for each lane that is fed to its end; the other lanes share the
    rest by their rows.
    """
    lanes = index.batch.lanes
    missing = index.missing
    if len(lanes) == 1:
        return dict.fromkeys(lanes, missing)
    left: dict[str, int] = {}
    for lane in lanes:
        seen = snapshots.get(lane)
        schedule = None if seen is None else seen.batches.get(index.batch.batch_id)
        if schedule is not None and schedule.round == index.round and schedule.at_end:
            left[lane] = min(missing, schedule.live)
    rest = max(0, missing - sum(left.values()))
    others = {lane: one.rows for lane, one in lanes.items() if lane not in left}
    whole = sum(others.values())
    return {**left, **{lane: min(rows, -(-rest * rows // max(1, whole))) for lane, rows in others.items()}}


def lengths_of(known: Experience, model: str, kinds: Iterable[str], rows: int, expected: int) -> Lengths | None:
    """Return how long rows of a model are; None if too few rows of it are known.

    `expected` are the tokens that `rows` rows are expected to take: completions are scaled if published rows took another part of
    what was expected of them. If that is not known, they are as long as they were.
    """
    sizes = known.of_kinds(model, set(kinds))
    if sizes is None:
        return None
    factor = 1.0
    if (ratio := known.per_expected_token(model)) is not None and rows and sizes.completion.mean:
        factor = ratio * expected / rows / sizes.completion.mean
    return scaled(sizes, factor if factor > 0 else 1.0)


def scaled(sizes: Sizes, factor: float) -> Lengths:
    """Return the lengths of rows whose completions are `factor` times as long as those of `sizes`."""
    products = round(sizes.prompt_completion * factor)
    return Lengths(sizes.prompt, sizes.completion.scaled(factor), products=products)


def rate_of(known: Experience, model: str, workers: Sequence[WorkerRecord], settings: Settings) -> Rate | None:
    """Return the speed of a worker of a model: on the device of its live workers, else on the one that it has run on most.

    None if neither published rows nor live workers tell a speed.
    """
    speeds = dict(known.speeds(model))
    devices = [one.device for one in workers if one.device]
    device = max(set(devices), key=devices.count, default="")
    if device and device not in speeds and (live := live_speed(workers, device)) is not None:
        speeds[device] = live
    if device not in speeds:
        device = max(speeds, key=lambda name: speeds[name].rows, default="")
    if device not in speeds:
        return None
    loads = sorted(one.load_s for one in workers if one.load_s)
    load_s = loads[len(loads) // 2] if loads else 0.0
    slots = slots_of(model, workers, settings) or ASSUMED_SLOTS
    share, losses = share_of(model, device, settings), known.losses_per_hour(model)
    return speeds[device].rate(device, slots, share, load_s, losses)


def live_speed(workers: Sequence[WorkerRecord], device: str) -> Speed | None:
    """Return the speed that live workers on a device have shown, by completion tokens alone; None if they wrote too few."""
    completion = sum(one.completion_tokens for one in workers if one.device == device)
    device_ns = sum(one.device_ns for one in workers if one.device == device)
    if completion < LIVE_TOKENS or device_ns <= 0:
        return None
    return Speed(0.0, device_ns / completion / NS, 0, 0, UNKNOWN_SPREAD)


def slots_of(model: str, workers: Sequence[WorkerRecord], settings: Settings) -> int:
    """Return how many rows a worker of a model runs at once: as live workers say, else as the model's card does; 0 if unknown."""
    if told := sorted(one.slots for one in workers if one.slots):
        return told[len(told) // 2]
    card = settings.catalog.get(model)
    return 0 if card is None else card_slots(card)


def share_of(model: str, device: str, settings: Settings) -> Fraction:
    """Return how many devices a worker of a model takes: a part of a GPU, or several; one core of a CPU."""
    card = settings.catalog.get(model)
    if card is None or device.lower() in ("", "cpu") or not card.num_gpus:
        return Fraction(1)
    return Fraction(card.num_gpus).limit_denominator(1000)
