"""The line: what a worker stands between, where its jobs come from and where their outcomes go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.batches.open_batches import OpenBatches
from jobs.kinds.kind import Kind
from jobs.lanes.feed import Feeder
from jobs.lanes.protocol import Schedule
from jobs.settings import Settings
from jobs.store.store import Store
from workers.worker.metrics import WorkerMetrics
from workers.worker.outcome import Outcomes


@dataclass(frozen=True, slots=True)
class Line:
    """The parts that a runner, its claimer and its flusher share."""

    lane: str
    store: Store
    schedule: Schedule
    batches: OpenBatches
    feeder: Feeder
    kinds: Mapping[str, Kind]
    outcomes: Outcomes
    settings: Settings
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
