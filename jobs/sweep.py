"""The sweeper: looks at every open batch, and publishes what is done.

Counts in Redis never prove that a batch is complete: they only say when it is worth reading storage. Where the queue
shows a batch drained but storage lacks outcomes, the queue has forgotten something, and the batch is fed again. It also
is what turns a deadline into a marker, and asks the breaker. Any number of sweepers may
run, anywhere, at the same time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs.batch import CloseReason, Done
from jobs.breaker import trip
from jobs.errors import QueueUnavailable
from jobs.job_queue import BatchSchedule, Lanes
from jobs.logs import logger
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.prices import Prices
from jobs.publish import close, publish
from jobs.rounds import go_on
from jobs.storage import Store


@dataclass
class Sweeper:
    """Sweeps the open batches of one store. `published` collects what this sweeper saw end.

    A batch whose first `breaker_rows` outcomes are all failures is paused; 0 is never. `took` is told how many seconds
    each publishing took, and `after` at the end of each sweep whether it published something.
    """

    store: Store
    queue: Lanes
    batches: OpenBatches
    prices: Prices
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    breaker_rows: int = 0
    took: Callable[[float], object] = lambda _: None
    after: Callable[[bool], object] = lambda _: None
    published: dict[str, Done] = field(default_factory=dict)

    def sweep(self) -> int:
        """Look at every open batch once. Returns how many are still open. Raises UnavailableError."""
        self.batches.scan()
        still_open, before = 0, len(self.published)
        for index in list(self.batches):
            done = self._look_at(index)
            if done is None:
                still_open += 1
            else:
                self.published[index.batch.batch_id] = done
        self.after(len(self.published) > before)
        return still_open

    def _look_at(self, index: OutcomeIndex) -> Done | None:
        if index.current.goes_on and go_on(self.store, index.batch, self.clock):
            index.refresh()
        self._close_in_time(index)
        trip(self.store, index, self.breaker_rows, self.clock)
        seen = self._seen(index)
        if any(_waits_for_rows(schedule) for schedule in seen.values() if schedule is not None):
            index.refresh()
            seen = self._end_in_queue(index)
        if (
            index.done is None
            and index.current.paused is None
            and not index.current.postponed
            and any(not _drained(schedule) for schedule in seen.values() if schedule is not None)
        ):
            return None
        index.refresh()
        if index.done is None and index.complete:
            self._publish(index)
        elif index.done is None and index.current.paused is None:
            self._feed_again(index, seen)
        if index.done is not None or index.closed is not None or (index.current.paused and any(seen.values())):
            self._drop(index)
        return index.done

    def _end_in_queue(self, index: OutcomeIndex) -> Mapping[str, BatchSchedule | None]:
        """Tell the queue of an end that it never heard of, or has forgotten: nobody feeds what is closed. What it shows then."""
        if index.done is not None or index.closed is not None:
            self._drop(index)
        return self._seen(index)

    def _seen(self, index: OutcomeIndex) -> Mapping[str, BatchSchedule | None]:
        """Each lane of the batch as the queue shows it; None where the queue does not know the batch's round."""
        seen: dict[str, BatchSchedule | None] = {}
        for lane in index.batch.lanes:
            schedule = self.queue.snapshot(lane).batches.get(index.batch.batch_id)
            seen[lane] = schedule if schedule is not None and schedule.round == index.round else None
        return seen

    def _close_in_time(self, index: OutcomeIndex) -> None:
        """At the deadline, or in the first round at the soft one, unless that is paused: nothing comes of it by itself."""
        at = self.clock()
        soft = index.batch.publish_at if index.round == 1 and index.current.paused is None else None
        if index.closed is not None or index.done is not None:
            return
        reason: CloseReason
        if index.current.given_up:
            reason = "cancelled"
        elif index.deadline is not None and at >= index.deadline:
            reason = "expired"
        elif soft is not None and at >= soft:
            reason = "postponed"
        else:
            return
        index.refresh()
        if not index.complete:  # else there is nothing to be given up
            closed = close(self.store, index.batch.batch_id, reason, clock=self.clock)
            logger().info("batch.closed", batch=index.batch.batch_id, reason=closed.reason)
            index.refresh()
            self._drop(index)

    def _publish(self, index: OutcomeIndex) -> None:
        began = time.monotonic()
        result = publish(self.store, index.batch.batch_id, prices=self.prices, clock=self.clock)
        if isinstance(result, Done):
            self.took(time.monotonic() - began)
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

    def _drop(self, index: OutcomeIndex) -> None:
        forget, finish = index.current.may_be_forgotten, index.current.may_finish
        for lane in index.batch.lanes:
            try:
                self.queue.drop(lane, index.batch.batch_id, index.round, forget=forget, finish=finish)
            except QueueUnavailable:  # storage has decided; the queue learns of it at its next feed
                return


def _waits_for_rows(schedule: BatchSchedule) -> bool:
    return schedule.live == 0 and not schedule.at_end and not schedule.closed


def _drained(schedule: BatchSchedule) -> bool:
    return (schedule.at_end or schedule.closed) and schedule.live == 0
