"""The sweeper: looks at every open batch, and publishes what is done.

Counts in Redis never prove that a batch is complete: they only say when it is worth reading storage. Where the queue
shows a batch drained but storage lacks outcomes, the queue has forgotten something, and the batch is fed again. It also
is what turns a deadline into a marker. Any number of sweepers may run, anywhere, at the same time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs.batch import Done
from jobs.errors import QueueUnavailable
from jobs.job_queue import BatchSchedule, Lanes
from jobs.logs import logger
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.prices import Prices
from jobs.publish import close, publish
from jobs.storage import Store


@dataclass
class Sweeper:
    """Sweeps the open batches of one store. `published` collects what this sweeper saw end."""

    store: Store
    queue: Lanes
    batches: OpenBatches
    prices: Prices
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    published: dict[str, Done] = field(default_factory=dict)

    def sweep(self) -> int:
        """Look at every open batch once. Returns how many are still open. Raises UnavailableError."""
        self.batches.scan()
        still_open = 0
        for index in list(self.batches):
            done = self._look_at(index)
            if done is None:
                still_open += 1
            else:
                self.published[index.batch.batch_id] = done
        return still_open

    def _look_at(self, index: OutcomeIndex) -> Done | None:
        self._expire(index)
        seen = self._seen(index)
        if any(not _drained(schedule) for schedule in seen.values() if schedule is not None):
            return index.done
        index.refresh()
        if index.done is None and index.complete:
            self._publish(index)
        elif index.done is None:
            self._feed_again(index, seen)
        if index.done is not None:
            self._drop(index, forget=True)
        elif index.closed is not None:
            self._drop(index, forget=False)
        return index.done

    def _seen(self, index: OutcomeIndex) -> Mapping[str, BatchSchedule | None]:
        """Each lane of the batch as the queue shows it; None where the queue does not know the batch's round."""
        seen: dict[str, BatchSchedule | None] = {}
        for lane in index.batch.lanes:
            schedule = self.queue.snapshot(lane).batches.get(index.batch.batch_id)
            seen[lane] = schedule if schedule is not None and schedule.round == index.round else None
        return seen

    def _expire(self, index: OutcomeIndex) -> None:
        deadline = index.deadline
        if deadline is None or index.closed is not None or self.clock() < deadline:
            return
        closed = close(self.store, index.batch.batch_id, "expired", clock=self.clock)
        logger().info("batch.closed", batch=index.batch.batch_id, reason=closed.reason)
        self._drop(index, forget=False)

    def _publish(self, index: OutcomeIndex) -> None:
        result = publish(self.store, index.batch.batch_id, prices=self.prices, clock=self.clock)
        if isinstance(result, Done):
            logger().info(
                "batch.published",
                batch=index.batch.batch_id,
                round=result.round,
                **{str(status): n for status, n in result.counts.items()},
            )
            index.refresh()

    def _feed_again(self, index: OutcomeIndex, seen: Mapping[str, BatchSchedule | None]) -> None:
        """Rows lack outcomes though no job is live: the queue forgot them. Feed those lanes from the beginning."""
        for lane, schedule in seen.items():
            if schedule is not None and self.queue.reset(lane, index.batch.batch_id, schedule.version):
                logger().warning("batch.reset", batch=index.batch.batch_id, lane=lane)

    def _drop(self, index: OutcomeIndex, *, forget: bool) -> None:
        for lane in index.batch.lanes:
            try:
                self.queue.drop(lane, index.batch.batch_id, index.round, forget=forget)
            except QueueUnavailable:  # storage has decided; the queue learns of it at its next feed
                return


def _drained(schedule: BatchSchedule) -> bool:
    return (schedule.at_end or schedule.closed) and schedule.live == 0
