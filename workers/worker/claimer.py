"""The claimer: a thread that keeps a few composed jobs ready, so that no step of the engine waits for Redis or storage.

Claims as slots come free and a little ahead, feeds the lane when a claim finds it low, reads the requests and begins
their conversations. What needs no engine ends here: a burial, a request that cannot be read, a row whose outcome a lost
attempt had made durable. It never touches the engine.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.batches.breaker import trip
from jobs.batches.request_row import RowRequest
from jobs.errors import CheckFailed, QueueUnavailable, RowError, StoreDamaged, StoreUnavailable, UnavailableError
from jobs.generation import GenerationRequest
from jobs.kinds.kind import Kind
from jobs.lanes.job import Job, Lease
from jobs.lanes.protocol import ClaimReply, Settlement, WorkerRecord
from jobs.lanes.requests import load_request
from jobs.logs import logger
from jobs.store.damage import collect_damage
from workers.worker.attempt import Attempt
from workers.worker.context import Line
from workers.worker.failing_batches import Doubts, Round
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Pulse
from workers.worker.leases import Leases

POLL_S: Final = 0.2
"""How long an idle worker waits before it asks for jobs again."""

HASTE_S: Final = 0.02
"""How often a worker that has to become empty looks whether its outcomes are written."""

WELL: Final = ("", "")
"""What a claimer says while nothing is away and nothing is damaged."""

AHEAD: Final = 1.0
"""How many jobs are in hand beyond the slots, as a share of those: rows of one token end a whole batch of slots at once."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a kind said in one turn: prompts for the engine; or nothing more, with the output in the attempt or an error."""

    attempt: Attempt
    requests: Sequence[GenerationRequest] = ()
    error: RowError | None = None


def taken(attempt: Attempt, turn: Callable[[], Sequence[GenerationRequest]]) -> Turn:
    """One turn of a kind's conversation. Whatever it raises is this job's fault alone."""
    try:
        return Turn(attempt, turn())
    except RowError as error:
        return Turn(attempt, error=error)
    except Exception as error:  # noqa: BLE001 - a kind's own fault must not become another job's
        return Turn(attempt, error=CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error!r}"))


class Claimer:
    """Claims for one runner. Use as a context manager: leaving it ends the thread, and what is ready stays leased.

    `fault` is the event of `logs` that says what is away or damaged at the moment, and why; both empty while all is well.
    `claim_id` names the n-th claim of this life of the worker. `pulse` shows a kind that hangs.
    """

    def __init__(
        self,
        line: Line,
        leases: Leases,
        flusher: Flusher,
        doubts: Doubts,
        *,
        slots: int,
        claim_id: Callable[[int], str],
        record: Callable[[int], WorkerRecord],
        clock: Callable[[], datetime],
        pulse: Pulse,
    ) -> None:
        self._line = line
        self._leases = leases
        self._flusher = flusher
        self._doubts = doubts
        self._looking: tuple[int, Sequence[Round]] | None = None
        self._slots = slots
        self._claim_id = claim_id
        self._record = record
        self._clock = clock
        self._pulse = pulse
        self._ready: deque[Turn] = deque()
        self._claims = 0
        self.fault = WELL
        self._said_reason = ""
        self._to_be_empty = False
        self._stopping = False
        self._freed = threading.Event()
        self._found = threading.Event()
        self._thread = ThreadPoolExecutor(1, "claimer")
        self._ended: Future[None] | None = None

    def __enter__(self) -> "Claimer":
        self._ended = self._thread.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.shutdown()

    def stop(self) -> None:
        """Claim nothing more. Returns at once."""
        self._stopping = True
        self._freed.set()

    def free(self) -> None:
        """Jobs have left the hand: there may be room for others."""
        self._freed.set()

    def ready(self) -> Iterator[Turn]:
        """Take the jobs that are ready for the engine. Raises what ended the thread, if anything did."""
        self._found.clear()
        while self._ready:
            yield self._ready.popleft()
        if self._ended is not None and self._ended.done():
            self._ended.result()

    def wait(self, timeout_s: float) -> None:
        """Wait until a job is ready."""
        self._found.wait(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            self._freed.clear()
            wait_s = self._claim()
            if wait_s and not self._stopping:
                self._freed.wait(wait_s)

    def _claim(self) -> float:
        """Claim if there is room. Returns how long to wait before the next one, unless jobs leave the hand."""
        room = int(self._slots * (1 + AHEAD)) - self._leases.in_hand
        if self._flusher.full or room * 4 < self._slots:
            return POLL_S
        if self._in_doubt():
            return HASTE_S
        if self._to_be_empty and self._leases.holding:  # suspects stand alone: a crash then points at nobody else
            if not self._leases.in_hand:
                self._flusher.hasten()
            return HASTE_S
        found = 0
        with self._waiting_for_what_is_away():
            reply = self._claimed(room)
            found = len(reply.jobs)
            self._to_be_empty = reply.apart or any(job.suspect for job in reply.jobs)
            self._say_paused(reply)
            self._take_up(reply.jobs)
            self._feed(reply, hungry=found < room and not self._to_be_empty)
            self.fault = WELL
        return 0.0 if found else POLL_S

    def _in_doubt(self) -> bool:
        """Whether nothing may be claimed yet, since a batch of which all failed is looked at once that is durable."""
        if self._looking is None:
            found = self._doubts.found()
            if not found:
                return False
            self._looking = self._flusher.taken, found
        taken, found = self._looking
        if self._flusher.through < taken:
            self._flusher.hasten()
            return True
        with self._waiting_for_what_is_away():
            faults: list[StoreDamaged] = []
            for batch_id, _ in found:
                with collect_damage(faults):  # nobody can know: the sweeper asks again once it is restored
                    self._look_at(batch_id)
            self._doubts.settle(found)
            self._looking = None
            if faults:
                raise faults[-1]
        return self._looking is not None

    def _look_at(self, batch_id: str) -> None:
        """Ask the breaker. A batch that it pauses is off the lane before the next claim."""
        line = self._line
        index = line.batches.get(batch_id)
        if index is None:
            return
        index.refresh()
        if trip(line.store, index, line.settings.breaker_rows, self._clock):
            line.feeder.drop_what_ended(line.lane, index)

    def _claimed(self, room: int) -> ClaimReply:
        """Ask for jobs. Until an answer comes the claim keeps its id, so that no answer that was lost costs a lease."""
        line = self._line
        lease_ms = int(line.settings.lease_s * 1000)
        reply = line.schedule.claim(
            line.lane, self._claim_id(self._claims), room, lease_ms, self._record(self._leases.holding)
        )
        self._claims += 1
        self._leases.hold(job.lease for job in reply.jobs)
        return reply

    def _say_paused(self, reply: ClaimReply) -> None:
        if reply.reason and reply.reason != self._said_reason:
            logger().error("lane.paused", lane=self._line.lane, reason=reply.reason)
        self._said_reason = reply.reason

    def _feed(self, reply: ClaimReply, *, hungry: bool) -> None:
        """Keep the lane fed. Both ask the storage from time to time, however often they are called."""
        if not reply.paused:
            self._line.batches.scan()
            self._line.feeder.top_up(self._line.lane, reply.ready, hungry=hungry)

    @contextlib.contextmanager
    def _waiting_for_what_is_away(self) -> Iterator[None]:
        """Redis or the storage may be away for a while, or a file be damaged: say so once, and go on with what is in hand."""
        try:
            yield
        except (QueueUnavailable, StoreUnavailable) as error:
            event = "queue.unavailable" if isinstance(error, QueueUnavailable) else "store.unavailable"
            if isinstance(error, StoreDamaged):
                event = "store.damaged"
            if self.fault == WELL:
                logger().warning(event, error=str(error))
            self.fault = event, str(error)

    def _take_up(self, jobs: Sequence[Job]) -> None:
        """Begin claimed jobs. What one needs may be away: then it and those after it go back unharmed.

        Or it is damaged: then the others go on, and what waits of its batch is set aside, so that it does not come first again.
        """
        damaged: list[Lease] = []
        fault: StoreDamaged | None = None
        for n, job in enumerate(jobs):
            try:
                turn = self._begun(job)
            except StoreDamaged as error:
                damaged.append(job.lease)
                fault = error
                continue
            except UnavailableError:
                self._release([*damaged, *(other.lease for other in jobs[n:])])
                raise
            if turn is not None:
                self._ready.append(turn)
                self._found.set()
        if fault is not None:
            self._release(damaged)
            for batch_id, round_ in {(lease.key.batch_id, lease.round) for lease in damaged}:
                self._line.feeder.set_aside(self._line.lane, batch_id, round_)
            raise fault

    def _begun(self, job: Job) -> Turn | None:
        """The first prompts of a job; None when it needs no engine and is done."""
        line, batch_id = self._line, job.key.batch_id
        if job.rescued:
            self._report_lost(job)
            if self._has_outcome(job):
                line.schedule.settle(line.lane, [Settlement(job.lease)])
                self._leases.let_go([job.lease])
                return None
        try:
            row = load_request(line.store, batch_id, line.lane, job)
            kind = self._kind_of(row)
        except RowError as error:
            self._flusher.put(batch_id, *line.outcomes.unreadable(job, error, self._clock()))
            return None
        if job.burial:
            logger().warning("job.buried", job=str(job.key), attempt=job.attempt)
            self._flusher.put(batch_id, *line.outcomes.buried(job, row, self._clock()))
            return None
        attempt = Attempt(job, row, kind, self._clock())
        self._pulse.mark()
        turn = taken(attempt, attempt.start)
        self._pulse.rest()
        return turn

    def _kind_of(self, row: RowRequest) -> Kind:
        kind = self._line.kinds.get(row.kind)
        if kind is None:
            raise RowError("unknown_kind", f"this worker has no kind {row.kind!r}: install it on every node")
        return kind

    def _report_lost(self, job: Job) -> None:
        logger().info("job.rescued", job=str(job.key), attempt=job.attempt, crashes=job.crashes)
        for lease in job.lost:
            self._flusher.put(job.key.batch_id, self._line.outcomes.crashed(job, lease, self._clock()), None)

    def _has_outcome(self, job: Job) -> bool:
        """Whether a lost attempt had made its outcome durable, and only its report was missing."""
        with contextlib.suppress(StoreDamaged):  # nobody can know: to do it twice harms nothing
            index = self._line.batches.get(job.key.batch_id)
            if index is not None:
                index.refresh()
                return index.has_outcome(job.key.row)
        return False

    def _release(self, leases: Sequence[Lease]) -> None:
        try:
            self._line.schedule.release(self._line.lane, leases)
        except QueueUnavailable as error:
            logger().warning("queue.unavailable", error=str(error))  # their leases will run out
        self._leases.let_go(leases)
