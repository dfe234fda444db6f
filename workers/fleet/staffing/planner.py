"""Staffing: reads how many rows each model has to do, and plans how many workers of each model the fleet should have."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.catalog import ModelCard
from jobs.logs import logger
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from workers.fleet.cluster import needs_of, workers_that_fit
from workers.fleet.fleet import Fleet
from workers.fleet.staffing.demand import SLOTS, FleetPlan, Want, room_for_us, rows_to_do, share_out


@dataclass
class Staffing:
    """Plans the workers of a fleet. `workers` is the number that a person has set for each model; None lets the rows decide.

    `rows` holds the rows to do of each model, as `count` has found them.
    """

    settings: Settings
    workers: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)

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
        self.rows = {
            alias: rows_to_do(sweeper.queue, sweeper.batches, self.settings.lane_of(alias)) for alias in aliases
        }

    def has_rows(self, lane: str) -> bool:
        """Whether a model of the lane has rows to do."""
        return any(rows > 0 for alias, rows in self.rows.items() if self.settings.lane_of(alias) == lane)

    def plan(self, aliases: Iterable[str], fleet: Fleet) -> FleetPlan:
        """Return how many workers each of `aliases` should have, and each further model that the fleet has workers of."""
        slots, capacity = _slots(fleet), fleet.cluster.capacity()
        wanted = set(aliases)
        brings_cores = (
            bool(capacity.grown) and "CPU" not in capacity.grown
        )  # further nodes with GPUs have cores for them
        wants = []
        for alias in sorted(wanted | {replica.alias for replica in fleet.replicas}):
            card = self.settings.catalog[alias]
            if self.workers is not None and alias not in wanted:
                continue
            needs, rows = needs_of(card, fleet.cluster), self.rows.get(alias, 0)
            fit = workers_that_fit(needs, capacity)
            if brings_cores and "GPU" in needs:
                needs = {kind: need for kind, need in needs.items() if kind != "CPU"}
            wants.append(Want(alias, needs, rows, slots.get(alias) or slots_of(card), fit, self.workers))
        held = Counter[str]()
        for replica in fleet.replicas:
            if replica.placed:
                held.update(replica.needs)
        plan = share_out(wants, room_for_us(capacity, held, self.settings.grows_to))
        most = {kind: n for kind, n in plan.most.items() if kind != "CPU" or not brings_cores}
        return FleetPlan(plan.workers, most)


def slots_of(card: ModelCard) -> int:
    """Return the slots of a worker of a model, as its card says, or else a usual number."""
    return card.slots or int(card.options.get("slots", 0) or SLOTS)


def _slots(fleet: Fleet) -> Mapping[str, int]:
    """Return the slots of a worker by model, as workers have told them."""
    return {str(status["model"]): int(status["engine"]["slots"]) for status in fleet.statuses() if status.get("engine")}
