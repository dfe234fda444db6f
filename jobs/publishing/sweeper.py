"""The sweeper looks at every open batch again and again, and publishes those that are complete.

Counts in Redis never prove that a batch is complete. They only show when it is worth reading storage (rule 15 of
jobs/PROTOCOL.md). A batch is *drained* if the queue has no job of it left and no row to come. If a batch is drained and storage
lacks outcomes, the queue has lost rows, and the batch is fed again (rule 13). The sweeper also closes batches at their deadlines
(rule 14) and where a budget is used up (rule 48), asks the breaker whether to pause a batch, and compacts small segments. Any
number of sweepers may run at the same time, anywhere.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, islice
from typing import Final

from jobs.batches.batch import Batch, CloseReason, Done
from jobs.batches.breaker import trip
from jobs.batches.budgets.granting import NO_ACCOUNTS, Accounts, Granter
from jobs.batches.budgets.stopping import outlook
from jobs.batches.input import rows_without_request
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.quotes.sample import fed_a_part
from jobs.batches.rounds import close, open_next_round
from jobs.batches.segments.compaction import compact
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.errors import CODES, NoBatch, QueueUnavailable, StoreDamaged
from jobs.lanes.protocol import BatchSchedule, Lanes
from jobs.logs import logger
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.publishing.sampling import Sampling
from jobs.store.damage import Damage
from jobs.store.store import Store

SEGMENT_ROWS: Final = 4_096
"""The sweeper fails rows whose requests cannot be read (rule 27). It writes at most this many of the rows to one segment."""

OnPublished = Callable[[Batch, Done, float], object]


@dataclass
class Sweeper:
    """Looks at the open batches of one store and brings each a step further.

    `published` collects the markers of the batches that the sweeper saw published, by id. If the first `breaker_rows` outcomes of
    a batch are all failures, the batch is paused; 0 switches this off. If a batch has `compact_segments` or more uncompacted
    segments, the small segments are compacted; 0 switches this off. Each batch is compacted at most once in `compact_every`.
    `accounts` are those of tenants' budgets. `on_published` is called after each publishing, with the batch, its marker and the
    seconds that it took. `after_sweep` is called at the end of each sweep, with whether a batch was published in that sweep.
    `aside` runs a task, at once or on another thread. While a batch is published there, it counts as open; a later sweep sees its
    marker, or raises the error of the task.
    """

    store: Store
    queue: Lanes
    batches: OpenBatches
    prices: Prices
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    breaker_rows: int = 0
    on_published: OnPublished = lambda *_: None
    after_sweep: Callable[[bool], object] = lambda _: None
    aside: Callable[[Callable[[], object]], object] = lambda task: task()
    compact_segments: int = 0
    compact_every: timedelta = timedelta(minutes=1)
    accounts: Accounts = NO_ACCOUNTS
    published: dict[str, Done] = field(default_factory=dict)
    damage: Damage = field(default_factory=Damage)
    _compacted_at: dict[str, datetime] = field(default_factory=dict)
    _fed_again: set[tuple[str, int]] = field(default_factory=set)
    _publishing: dict[str, Future[None]] = field(default_factory=dict)
    _has_published: bool = False
    _sampling: Sampling = field(init=False)

    def __post_init__(self) -> None:
        """Make what draws samples. It asks the clock of this object."""
        self._sampling = Sampling(self.store, self.prices, self._now, self._is_spent)

    def _now(self) -> datetime:
        return self.clock()

    def sweep(self) -> int:
        """Look at every open batch once. Returns how many are still open. Raises UnavailableError.

        If a batch is damaged, StoreDamaged is raised after all other batches were looked at. A damaged batch is looked at less
        and less often. A batch that was deleted meanwhile is dropped from the queue.
        """
        known = {index.batch.batch_id: index for index in self.batches}
        self.batches.scan()
        found = {index.batch.batch_id: index for index in self.batches}
        for batch_id in known.keys() - found.keys():
            self._drop_deleted(known[batch_id])
        still_open, before, fault = 0, len(self.published), self.batches.fault
        for batch_id, index in found.items():
            done = None
            try:
                with self.damage.look(batch_id):
                    done = self._close_feed_or_publish(index)
                if done is None:
                    self._compact(index)
            except NoBatch:
                self.batches.forget(batch_id)
                self._drop_deleted(index)
                continue
            except StoreDamaged as error:
                fault = error
            if done is None:
                still_open += 1
            else:
                self.published[batch_id] = done
        has_published, self._has_published = self._has_published or len(self.published) > before, False
        self.after_sweep(has_published)
        if fault is not None:
            raise fault
        return still_open

    @property
    def damaged(self) -> int:
        """The number of open batches that wait for a damaged file, as far as the last sweep has found."""
        waiting = sum(self.damage.holds(index.batch.batch_id) for index in self.batches)
        return waiting + (self.batches.fault is not None)

    def _close_feed_or_publish(self, index: OutcomeIndex) -> Done | None:
        """Bring a batch a step further. Returns the marker of its round if the round is published, otherwise None.

        Raises NoBatch if the batch was deleted, StoreDamaged.
        """
        if index.current.has_next_round and open_next_round(self.store, index.batch, self.clock):
            index.refresh()
        self._close_in_time(index)
        trip(self.store, index, self.breaker_rows, self.clock)
        seen = self._seen(index)
        if any(_waits_for_rows(schedule) for schedule in seen.values() if schedule is not None):
            index.refresh()
            seen = self._end_in_queue(index)
        if (
            index.done is None
            and index.missing
            and index.current.paused is None
            and not index.current.postponed
            and any(not _drained(schedule) for schedule in seen.values() if schedule is not None)
        ):
            return None
        self._sampling.draw_on(index)
        index.refresh()
        is_granted = self._close_over_budget(index)
        if index.done is None and index.complete:
            self._publish_aside(index)
        elif index.done is None and not index.current.is_held and not self._feed_on(index, seen) and is_granted:
            self._feed_again(index, seen)
        if index.done is not None or index.closed is not None or (index.current.paused and any(seen.values())):
            self._drop(index)
        return index.done

    def _compact(self, index: OutcomeIndex) -> None:
        """Compact the small segments of a batch that has many segments, unless the batch is about to be published."""
        at, batch_id = self.clock(), index.batch.batch_id
        last = self._compacted_at.get(batch_id)
        if not self.compact_segments or (last is not None and at - last < self.compact_every):
            return
        self._compacted_at[batch_id] = at
        index.refresh()
        if index.single_files >= self.compact_segments and index.done is None and not index.complete:
            compact(self.store, index)

    def _end_in_queue(self, index: OutcomeIndex) -> Mapping[str, BatchSchedule | None]:
        """Drop a batch from the queue if it is published or closed, since the queue may not know that.

        Returns what the queue shows afterwards, as `_seen` does.
        """
        if index.done is not None or index.closed is not None:
            self._drop(index)
        return self._seen(index)

    def _seen(self, index: OutcomeIndex) -> Mapping[str, BatchSchedule | None]:
        """Return what the queue shows of the batch, by lane; None for a lane that does not know the batch in this round."""
        seen: dict[str, BatchSchedule | None] = {}
        for lane in index.batch.lanes:
            schedule = self.queue.snapshot(lane, index.batch.batch_id).batches.get(index.batch.batch_id)
            seen[lane] = schedule if schedule is not None and schedule.round == index.round else None
        return seen

    def _close_in_time(self, index: OutcomeIndex) -> None:
        """Close a batch at its deadline, and in round 1 also at its soft deadline (`publish_at`), unless the round is paused or
        is quoted: its other rows would run in the next round, although nobody has agreed.

        A batch that was cancelled while it was postponed is closed at once.
        """
        at = self.clock()
        waits = index.current.paused is not None or index.current.quoting is not None
        soft = index.batch.publish_at if index.round == 1 and not waits else None
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
        if not index.complete:  # a complete batch needs no closing
            closed = close(self.store, index.batch.batch_id, reason, clock=self.clock)
            logger().info("batch.closed", batch=index.batch.batch_id, reason=closed.reason)
            index.refresh()
            self._drop(index)

    def _feed_on(self, index: OutcomeIndex, seen: Mapping[str, BatchSchedule | None]) -> bool:
        """Have rows fed that may run since the lane was fed: those of a new draw, or all rows once somebody agreed to the quote.

        Returns False if there are none, so that rows without an outcome were lost.
        """
        batch, drawn = index.batch, self._sampling.drawn_in(index)
        behind = {
            lane: schedule
            for lane, schedule in seen.items()
            if schedule is not None and fed_a_part(batch.lanes[lane].bytes, schedule.cursor, drawn.get(lane))
        }
        for lane, schedule in behind.items():
            self.queue.reset(lane, batch.batch_id, schedule.version)
        return bool(behind)

    @property
    def _granter(self) -> Granter:
        return Granter(self.store, self.prices, self.accounts, self.clock)

    def _is_spent(self, index: OutcomeIndex) -> bool:
        """Whether a budget pays for no further row, and every granted row has its outcome."""
        granter = self._granter
        return granter.limits(index) and index.limit().is_idle and not outlook(granter, index).more

    def _close_over_budget(self, index: OutcomeIndex) -> bool:
        """Close a round whose granted rows all have their outcomes, if no budget pays for any other row.

        Returns False if further rows may be granted: a feeder grants them, and no row of the batch is lost.
        """
        current = index.current
        if index.done is not None or index.complete or current.paused is not None or current.quoting is not None:
            return True
        more, stop = outlook(self._granter, index)
        if stop is None:
            return not more
        number, until, words = stop
        batch_id = index.batch.batch_id
        close(self.store, batch_id, "over_budget", self.clock, budget_entry=number, until=until, stopped_by=words)
        logger().warning("batch.stopped", batch=batch_id, reason=words)
        index.refresh()
        self._drop(index)
        return True

    def _publish_aside(self, index: OutcomeIndex) -> None:
        """Have a batch published, unless that is going on. Raises the error of a publishing that failed since the last call."""
        batch_id = index.batch.batch_id
        publishing = self._publishing.get(batch_id)
        if publishing is not None and not publishing.done():
            return
        if publishing is not None:
            del self._publishing[batch_id]
            publishing.result()
        else:
            self._publishing[batch_id] = publishing = Future()
            self.aside(partial(self._publish, index.batch, publishing))
            if publishing.done():
                del self._publishing[batch_id]
                publishing.result()
        index.refresh()
        if index.book is not None and index.done is not None:
            self.accounts.settle(index, at_end=True)

    def _publish(self, batch: Batch, publishing: Future[None]) -> None:
        began = time.monotonic()
        try:
            result = publish(self.store, batch.batch_id, prices=self.prices, clock=self.clock)
            if isinstance(result, Done):
                self._has_published = True
                self.on_published(batch, result, time.monotonic() - began)
                counts = {str(status): n for status, n in result.counts.items()}
                logger().info("batch.published", batch=batch.batch_id, round=result.round, **counts)
        except BaseException as error:  # noqa: BLE001 - raised again by a sweep
            publishing.set_exception(error)
        else:
            publishing.set_result(None)

    def _feed_again(self, index: OutcomeIndex, seen: Mapping[str, BatchSchedule | None]) -> None:
        """Have a batch fed again from the beginning. Rows lack outcomes and no job is live, so the queue lost rows (rule 13).

        Nothing is done while a lane does not know the batch, since the next claimer of that lane feeds the batch. If the batch
        was fed again before and is drained once more, rows whose requests cannot be read are failed (rule 27).
        """
        batch_id = index.batch.batch_id
        if None in seen.values():
            return
        if (batch_id, index.round) in self._fed_again and seen and all(map(_is_over, seen.values())):
            self._fail_unreadable(index)
            index.refresh()
        for lane, schedule in seen.items():
            if schedule is not None and self.queue.reset(lane, batch_id, schedule.version):
                self._fed_again.add((batch_id, index.round))
                logger().warning("batch.reset", batch=batch_id, lane=lane)

    def _fail_unreadable(self, index: OutcomeIndex) -> None:
        """Write a final failure for each row whose request cannot be read. If a completed line of the row comes later, that
        line wins.
        """
        error = {"code": "bad_record", "message": CODES["bad_record"], "line": None, "field": None}
        lost = iter(rows_without_request(self.store, index.batch, index.missing_rows()))
        worker, incarnation, rows = "sweeper", secrets.token_hex(4), 0
        for n in count(1):
            lines = [
                Outcome(row, index.round, 0, "", "failed", True, "", error=error) for row in islice(lost, SEGMENT_ROWS)
            ]
            if not lines:
                break
            write(self.store, index.paths, lines, worker, incarnation, n)
            rows += len(lines)
        if rows:
            logger().error("batch.damaged", batch=index.batch.batch_id, rows=rows)

    def _drop_deleted(self, index: OutcomeIndex) -> None:
        """Drop a deleted batch from the queue, in the round that the queue knows."""
        batch_id = index.batch.batch_id
        with suppress(QueueUnavailable):
            for lane in index.batch.lanes:
                schedule = self.queue.snapshot(lane, batch_id).batches.get(batch_id)
                if schedule is not None:
                    self.queue.drop(lane, batch_id, schedule.round, forget=True)

    def _drop(self, index: OutcomeIndex) -> None:
        forget, finish = index.current.may_be_forgotten, index.current.may_finish
        for lane in index.batch.lanes:
            try:
                self.queue.drop(lane, index.batch.batch_id, index.round, forget=forget, finish=finish)
            except QueueUnavailable:  # storage has decided, and the next feed tells the queue
                return


def _waits_for_rows(schedule: BatchSchedule) -> bool:
    return schedule.live == 0 and not schedule.at_end and not schedule.closed


def _is_over(schedule: BatchSchedule | None) -> bool:
    return schedule is not None and _drained(schedule)


def _drained(schedule: BatchSchedule) -> bool:
    return (schedule.at_end or schedule.closed) and schedule.live == 0
