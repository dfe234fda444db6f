"""The demand: how many workers each model should have now, within the resources that a cluster has or can grow to.

A model gets no more workers than its rows can keep busy, and all models together get no more than fits. So a cluster that adds
nodes for each worker that waits stays within the plan. `share_out` decides, from rows, slots and resources alone.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.batches.open_batches import OpenBatches
from jobs.lanes.protocol import LaneSnapshot
from jobs.planning.quotes import LEAST_ROWS
from jobs.planning.slots import ASSUMED_SLOTS
from workers.fleet.handles import ROUNDING, Capacity
from workers.fleet.nodes.needs import ACCELERATOR, LABEL, Node, room_for


@dataclass(frozen=True, slots=True)
class Want:
    """What a model wants: workers that need the resources `needs` each, for `rows` rows, `slots` of them at once in a worker.

    `fit` is the number of workers that the nodes hold; None if the cluster can grow by further nodes.
    `fixed` is the number of workers that a person has set; None lets the rows decide. `least` is the number that deadlines need;
    None if it is not known.
    """

    alias: str
    needs: Mapping[str, float]
    rows: int
    slots: int = ASSUMED_SLOTS
    fit: int | None = None
    fixed: int | None = None
    least: int | None = None

    @property
    def most(self) -> int:
        """The number of workers that the rows can keep busy, or that a deadline needs, or that a person has set."""
        if self.fixed is not None:
            return self.fixed
        busy = math.ceil(self.rows / max(1, self.slots))
        limits = [n for n in (busy, self.least, None if self.fit is None else max(1, self.fit)) if n is not None]
        return min(limits)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """How many workers each model should have, by alias, and the resources that all of them may ask for together."""

    workers: Mapping[str, int]
    most: Mapping[str, float] = field(default_factory=dict)

    def allows(self, asked: Mapping[str, float], needs: Mapping[str, float]) -> bool:
        """Whether a further worker may be asked for, when `asked` is asked for already. The first worker always may."""
        if not any(asked.values()):
            return True
        return all(
            asked.get(kind, 0.0) + need <= self.most.get(kind, math.inf) + ROUNDING for kind, need in needs.items()
        )


def rows_to_do(seen: LaneSnapshot, batches: OpenBatches, lane: str) -> int:
    """Return about how many rows of a lane are left: those on the queue, and those of open batches that are not fed yet.

    A batch of several lanes may be counted in each with all rows that it lacks, up to the rows of the lane. Rows that are paused
    do not count. Of a batch that is quoted only the sample may run, so its rows that are not fed yet are a guess.
    """
    if seen.paused:
        return seen.leased
    rows = seen.leased + seen.ready + seen.delayed
    for index in batches:
        here = index.batch.lanes.get(lane)
        if here is not None and index.closed is None and not index.current.is_held:
            schedule = seen.batches.get(index.batch.batch_id)
            left = min(here.rows, index.missing if index.current.quoting is None else LEAST_ROWS)
            if schedule is None or schedule.round != index.round:
                rows += left
            elif not (schedule.at_end or schedule.closed):
                rows += max(1, left - schedule.live)
    return rows


def held_by_others(
    capacity: Capacity, held: Mapping[str, float], asked: Mapping[str, float], before: Mapping[str, float]
) -> Mapping[str, float]:
    """Return the resources that other programs hold. `held` is what our workers that are up hold.

    `asked` is what our workers hold or will hold that have not come up. Ray does not tell which of them it has placed, and a
    process takes seconds to come up. So what is newly taken while they come up is theirs, as far as they asked for it: `before`
    is what this function returned last.
    """
    others = {}
    for kind in {kind for node in capacity.nodes for kind in node}:
        not_up = max(0.0, capacity.total(kind) - capacity.free.get(kind, 0.0) - held.get(kind, 0.0))
        others[kind] = min(not_up, max(before.get(kind, 0.0), not_up - asked.get(kind, 0.0)))
    return others


def room_for_us(capacity: Capacity, others: Mapping[str, float], limits: Mapping[str, float]) -> Mapping[str, float]:
    """Return the resources that the workers of a fleet may hold together.

    That is all that the cluster has or can grow to, less what `others` hold, and at most what `limits` names.
    """
    kinds = {kind for node in capacity.nodes for kind in node} | set(capacity.grown)
    room = {kind: capacity.most(kind) - others.get(kind, 0.0) for kind in kinds}
    return {kind: min(n, limits.get(kind, n)) for kind, n in room.items()}


def on_its_nodes(needs: Mapping[str, float], nodes: Sequence[Node]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the needs of a worker that only some nodes may hold, and the room of these nodes.

    A label or a type of GPU limits a worker to some nodes. Their cores and GPUs are resources of their own here, such as
    `CPU of label:tier=spot`, and the worker needs them beside those of the cluster. So models that need the same nodes share
    them. If any node may hold the worker, its needs are returned as they are.
    """
    names = sorted(name for name in needs if name.startswith((LABEL, ACCELERATOR)))
    if not names:
        return needs, {}
    chosen = {name: needs[name] for name in names}
    held = [node for node in nodes if room_for(chosen, node)]
    kinds = {kind: f"{kind} of {', '.join(names)}" for kind in ("CPU", "GPU") if kind in needs}
    room = {here: sum(node.resources.get(kind, 0.0) for node in held) for kind, here in kinds.items()}
    return {**needs, **{here: needs[kind] for kind, here in kinds.items()}}, room


def share_out(wants: Sequence[Want], room: Mapping[str, float]) -> FleetPlan:
    """Return how many workers each model should have.

    A number that a person has set is kept. Of the others each model with rows gets one, if need be in turns, and each further
    worker goes to the model with most rows for each slot that it has, as long as it fits. Workers without a GPU leave a core to
    what is no worker.
    """
    left = dict(room)
    workers = {want.alias: want.most for want in wants if want.fixed is not None}
    for want in wants:
        _take(want.needs, want.fixed or 0, left)
    most = {kind: max(n, n - left[kind]) for kind, n in room.items()}
    heap: list[tuple[float, str, Want]] = []
    for want in wants:
        if want.fixed is None:
            workers[want.alias] = min(1, want.most)
            if want.most:
                _take(want.needs, 1, left)
                heap.append((-want.rows / want.slots, want.alias, want))
    heapq.heapify(heap)
    while heap:
        _, alias, want = heapq.heappop(heap)
        if workers[alias] >= want.most or not _fits(want.needs, left):
            continue
        workers[alias] += 1
        _take(want.needs, 1, left)
        heapq.heappush(heap, (-want.rows / (want.slots * workers[alias]), alias, want))
    return FleetPlan(workers, most)


def _take(needs: Mapping[str, float], workers: int, left: dict[str, float]) -> None:
    for kind, need in needs.items():
        if kind in left:
            left[kind] -= need * workers


def _fits(needs: Mapping[str, float], left: Mapping[str, float]) -> bool:
    """Whether a further worker fits. A worker without a GPU leaves one core of the cluster, wherever it may run.

    Resources other than CPU and GPU count only if the room has them. It has no labels, but the cores and GPUs of the nodes with
    those labels (`on_its_nodes`).
    """
    spare = {} if "GPU" in needs else {"CPU": 1.0}
    known = {kind: left.get(kind, 0.0 if kind in ("CPU", "GPU") else math.inf) for kind in needs}
    return all(known[kind] - spare.get(kind, 0.0) >= need - ROUNDING for kind, need in needs.items())
