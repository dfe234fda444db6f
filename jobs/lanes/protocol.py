"""The queue: what waits, what is leased, and to whom. It schedules, and never decides an outcome.

Two protocols: `Schedule` for those who work, `Lanes` for those who operate; `redis_queue.py` implements both. All may be
forgotten at any moment: what is lost here is fed again from storage. All times are the server's, in milliseconds.

The life of a job:

    feed --> ready --> leased --> (settled: nothing left)
               ^         |-- release: back, unharmed, the attempt not counted
               |         |-- retry:   delayed, then ready when due
               |         `-- expired: suspect, claimed apart and in ever smaller groups; after the second crash
               |                      alone dying, and claimed as a burial
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from jobs.lanes.job import InputSlice, Job, Lease
from jobs.tenants import TenantSettings


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The rules of a claim: after how many deaths in a row a lane may pause itself, after how long a group of jobs that was
    not served gains a level of priority, and what share each tenant has; one that is not named has weight 1 and no cap.
    """

    pause_after_deaths: int = 5
    priority_aging_s: float = 600.0
    tenants: Mapping[str, TenantSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One row to be put on the queue. `cost` is the expected work, in tokens: the longest are claimed first."""

    row: int
    payload: bytes | InputSlice
    cost: int
    priority: int
    tenant: str
    attempts: int = 0
    crashes: int = 0
    solo_crashes: int = 0


@dataclass(frozen=True, slots=True)
class FeedReply:
    """What `feed` found. Unless `accepted`, nothing changed, and `round` and `cursor` are the truth to go on from.

    `refused` means that the queue knows a later round of this batch, so that the feeder is behind the times.
    """

    accepted: bool
    refused: bool
    round: int
    cursor: int


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """The jobs of one claim, and what the claimer needs to keep the lane fed.

    `ready`, `delayed` and `leased` count the jobs of the lane after the claim. With `apart` there are no jobs: suspects
    wait for a worker with nothing in hand, and the claimer is to become one. `reason` says why the lane paused itself.
    `lost` are the leases of reports sent along that no longer held.
    """

    jobs: Sequence[Job]
    ready: int
    delayed: int
    leased: int
    paused: bool
    apart: bool = False
    reason: str = ""
    lost: frozenset[Lease] = frozenset()


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat brings back: leases that are gone, and leases whose batch was closed meanwhile."""

    lost: frozenset[Lease]
    cancelled: frozenset[Lease]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The report on one leased job: done, or to be retried after `delay_ms`."""

    lease: Lease
    action: Literal["done", "retry"] = "done"
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class BatchSchedule:
    """A batch in a lane, as the queue sees it. `cursor` is a byte offset into the lane's input; `at_end` says that the
    feeder reached the end. `version` changes whenever the batch is opened or reset.
    """

    batch_id: str
    round: int
    cursor: int
    at_end: bool
    closed: bool
    ready: int
    delayed: int
    leased: int
    version: int

    @property
    def live(self) -> int:
        """Jobs of the batch that wait or are leased."""
        return self.ready + self.delayed + self.leased


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What a worker says of itself with each claim and beat. It is forgotten when it stops saying so.

    `running` is how many jobs it has in hand: a worker with none may be given suspects. `slots` is how many of them its
    engine works on at once; 0 where it did not say.
    """

    worker: str
    pid: int
    node: str
    lane: str
    running: int
    slots: int = 0


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """A lane at one moment. `bytes` are those of the requests on the queue; `suspects` are among the `ready`.

    `reason` says why the lane paused itself; it is empty when an operator paused it.
    """

    lane: str
    paused: bool
    ready: int
    delayed: int
    leased: int
    bytes: int
    batches: Mapping[str, BatchSchedule]
    workers: Sequence[WorkerRecord]
    suspects: int = 0
    reason: str = ""


class Schedule(Protocol):
    """What a worker asks of the queue. Every call is one atomic step, and safe to send twice."""

    def feed(
        self,
        lane: str,
        batch_id: str,
        round_: int,
        cursor: int,
        next_cursor: int,
        at_end: bool,
        rows: Sequence[FeedRow],
        *,
        finish: bool = False,
    ) -> FeedReply:
        """Add `rows` and move the batch's cursor in this lane from `cursor` to `next_cursor`, or change nothing.

        A batch that the queue does not know, or knows of an older round, is opened anew at cursor 0 first. With `finish`,
        what is leased of the round before may then run to its end. Rows that are live already are passed over.
        """
        ...

    def claim(
        self,
        lane: str,
        claim_id: str,
        n: int,
        lease_ms: int,
        worker: WorkerRecord,
        *,
        settle: Sequence[Settlement] = (),
    ) -> ClaimReply:
        """Lease up to `n` jobs: promote what is due, rescue what expired, then by priority, tenant and length.

        The same `claim_id` again gives the same jobs. It is written `<worker>-<incarnation>-<n>`, and jobs of one
        incarnation that run out together become a group of suspects. A rescued job carries the leases that it lost.
        `settle` is taken first, as the call of that name does: so a round trip is spared to those who have both to say.
        """
        ...

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        """Extend leases to `lease_ms` from now."""
        ...

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        """Report jobs as done or to be retried. Returns the leases that no longer held: nothing changed for those."""
        ...

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        """Give jobs back unharmed: their attempt does not count. Returns the leases that no longer held."""
        ...


class Lanes(Protocol):
    """What the feeder, the sweeper and an operator ask of the queue."""

    def lanes(self) -> Sequence[str]:
        """The lanes that the queue has heard of, by name."""
        ...

    def snapshot(self, lane: str) -> LaneSnapshot:
        """The lane at this moment."""
        ...

    def drop(self, lane: str, batch_id: str, round_: int, *, forget: bool, finish: bool = False) -> int:
        """Take the waiting jobs of a closed batch off the lane, and mark its leased ones for `beat` to report.

        Names the round: another round's jobs stay. With `finish`, leased ones are not marked: they may run to their end.
        With `forget`, for a published round, nothing of it is kept; with both, nothing once none is leased. Returns how many
        jobs were taken off.
        """
        ...

    def reset(self, lane: str, batch_id: str, version: int) -> bool:
        """Put the cursor back to 0, provided that the batch is at its end, has no live job and is still at `version`."""
        ...

    def pause(self, lane: str) -> None:
        """Let no more jobs of the lane be claimed."""
        ...

    def resume(self, lane: str) -> None:
        """Let jobs of the lane be claimed again. Starts the count of deaths anew."""
        ...

    def ping(self, slow: Callable[[str], object] | None = None) -> Mapping[str, str]:
        """The server's version, memory limit and eviction policy. Raises QueueUnavailable.

        `slow` is told what is waited for, when no answer has come after a moment.
        """
        ...

    def check(self) -> None:
        """Raises QueueUnavailable unless the server takes writes: a replica, or one whose disk is full, only answers."""
        ...
