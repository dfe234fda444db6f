"""Staffing: reads how many rows each model has to do, and plans how many workers of each model the fleet should have."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.logs import logger
from jobs.planning.slots import ASSUMED_SLOTS, card_slots
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from workers.fleet.cluster import needs_of, nodes_of, workers_that_fit
from workers.fleet.fleet import Fleet
from workers.fleet.staffing.deadlines import Deadlines
from workers.fleet.staffing.demand import (
    FleetPlan,
    Want,
    held_by_others,
    on_its_nodes,
    room_for_us,
    rows_to_do,
    share_out,
)


@dataclass
class Staffing:
    """Plans the workers of a fleet. `workers` is the number that a person has set for each model; None lets the rows decide.

    `rows` holds the rows to do of each model, as `count` has found them. On a cluster that grows, a lane whose rows all have
    deadlines gets no more workers than `deadlines` says.
    """

    settings: Settings
    deadlines: Deadlines
    workers: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)
    _others: Mapping[str, float] = field(default_factory=dict)

    def known(self, aliases: Iterable[str]) -> list[str]:
        """Return those of `aliases` that the catalog has, in order. The others are logged, each once."""
        found = []
        for alias in sorted(set(aliases)):
            if alias in self.settings.catalog:
                found.append(alias)
            elif alias not in self._unknown:
                self._unknown.add(alias)
                logger().warning("model.unknown", model=alias, known=sorted(self.settings.catalog))
        return found

    def count(self, aliases: Iterable[str], sweeper: Sweeper) -> None:
        """Count the rows to do of each model. Raises QueueUnavailable if Redis does not answer: the old numbers stay."""
        lanes = {alias: self.settings.lane_of(alias) for alias in aliases}
        seen = {lane: sweeper.queue.snapshot(lane) for lane in set(lanes.values())}
        self.rows = {alias: rows_to_do(seen[lane], sweeper.batches, lane) for alias, lane in lanes.items()}
        self.deadlines.look(sweeper, seen)

    def has_rows(self, lane: str) -> bool:
        """Whether a model of the lane has rows to do."""
        return any(rows > 0 for alias, rows in self.rows.items() if self.settings.lane_of(alias) == lane)

    def plan(self, aliases: Iterable[str], fleet: Fleet) -> FleetPlan:
        """Return how many workers each of `aliases` should have, and each further model that the fleet has workers of."""
        slots, capacity = _slots(fleet), fleet.cluster.capacity()
        wanted = set(aliases)
        brings_cores = bool(capacity.grown) and "CPU" not in capacity.grown  # as further nodes with GPUs do
        wants, of_nodes = [], dict[str, float]()
        for alias in sorted(wanted | {replica.alias for replica in fleet.replicas}):
            card = self.settings.catalog[alias]
            if self.workers is not None and alias not in wanted:
                continue
            needs, rows = needs_of(card, fleet.cluster), self.rows.get(alias, 0)
            fit = workers_that_fit(needs, capacity)
            if brings_cores and "GPU" in needs:
                needs = {kind: need for kind, need in needs.items() if kind != "CPU"}
            if not capacity.grown:
                needs, room = on_its_nodes(needs, nodes_of(capacity))
                of_nodes.update(room)
            least = self.deadlines.least(self.settings.lane_of(alias)) if capacity.grown else None
            each = slots.get(alias) or card_slots(card) or ASSUMED_SLOTS
            wants.append(Want(alias, needs, rows, each, fit, self.workers, least))
        held, asked = Counter[str](), Counter[str]()
        for replica in fleet.replicas:
            if replica.handle is not None:
                (held if replica.placed else asked).update(replica.needs)
        self._others = held_by_others(capacity, held, asked, self._others)
        plan = share_out(wants, {**room_for_us(capacity, self._others, self.settings.grows_to), **of_nodes})
        most = {kind: n for kind, n in plan.most.items() if kind != "CPU" or not brings_cores}
        return FleetPlan(plan.workers, most)


def _slots(fleet: Fleet) -> Mapping[str, int]:
    """Return the slots of a worker by model, as workers have told them."""
    return {str(status["model"]): int(status["engine"]["slots"]) for status in fleet.statuses() if status.get("engine")}
