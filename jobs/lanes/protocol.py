"""The queue knows which jobs wait, which are leased, and to whom. It schedules, and never decides an outcome.

Workers call `Schedule`; the feeder, the sweeper and operators call `Lanes`. RedisQueue implements both. The queue may forget
everything at any moment, since feeders fill it again from storage. All times are in milliseconds of the server's clock.

The life of a job:

    feed --> ready --> leased --> settled, and gone from the queue
               ^         |-- release: ready again; the attempt does not count
               |         |-- retry:   delayed, and ready when it is due
               |         `-- expired: a suspect, claimed apart in ever smaller groups; after two solo crashes it is dying,
               |                      and claimed as a burial
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from jobs.lanes.job import InputSlice, Job, Lease
from jobs.tenants import TenantSettings


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The settings by which jobs are claimed.

    A lane pauses itself after `pause_after_deaths` deaths of workers in a row (rule 34 of jobs/PROTOCOL.md). The jobs of one
    tenant and priority gain a level of priority for each `priority_aging_s` seconds in which none of them was claimed.
    `tenants` maps a tenant to its weight and its cap of leased rows. A tenant that is not named has weight 1 and no cap.
    """

    pause_after_deaths: int = 5
    priority_aging_s: float = 600.0
    tenants: Mapping[str, TenantSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One row to put on a lane.

    `cost` is the expected work in tokens. The rows of a batch are claimed in the order of `place`, a number below 10**10. If
    `place` is None, it is the row's own number. `attempts`, `crashes` and `solo_crashes` are the counts of `PastAttempts`, as
    storage shows them.
    """

    row: int
    payload: bytes | InputSlice
    cost: int
    priority: int
    tenant: str
    attempts: int = 0
    crashes: int = 0
    solo_crashes: int = 0
    place: int | None = None


@dataclass(frozen=True, slots=True)
class FeedReply:
    """The answer to a feed. If `accepted` is False, no row was added.

    `round` and `cursor` are the ones that the batch has on the queue after the call.

    `refused` is True if the queue knows a later round of the batch, or if the batch is closed.
    """

    accepted: bool
    refused: bool
    round: int
    cursor: int


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """The jobs of one claim, and what the claimer needs to keep the lane fed.

    `ready`, `delayed` and `leased` count the jobs of the lane after the claim. If `apart` is True, `jobs` is empty. Then
    suspects (rule 34) wait for a worker with no job in hand, so this worker should first finish its jobs. `reason` says why the
    lane paused itself, and is empty otherwise. `dry` is True if the claim took the last ready row of a batch that can be fed on.

    `keeps` is True if this worker keeps the lane: it alone is to look for open batches and to feed the lane (rule 47). `news`
    changes whenever a batch of the lane is announced, and ends in `|` and the id of that batch; it is empty if none was.
    `workers` is the number of workers that the lane knows, some of which may have ended.
    """

    jobs: Sequence[Job]
    ready: int
    delayed: int
    leased: int
    paused: bool
    apart: bool = False
    reason: str = ""
    dry: bool = False
    keeps: bool = False
    news: str = ""
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a beat. The leases in `lost` are gone. The leases in `cancelled` belong to batches that were closed.

    `forgotten` are the leases in `lost` that are gone because their batch has ended, so no other worker has their rows.
    """

    lost: frozenset[Lease]
    cancelled: frozenset[Lease]
    forgotten: frozenset[Lease] = frozenset()


@dataclass(frozen=True, slots=True)
class Settlement:
    """The report on one leased job: it is done, or is to be tried again after `delay_ms` milliseconds."""

    lease: Lease
    action: Literal["done", "retry"] = "done"
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class BatchSchedule:
    """A batch in a lane, as the queue knows it.

    `cursor` is a byte offset into the lane's input, and `at_end` is True once the feeder reached the end. `version` changes
    whenever the batch is opened or reset.
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
        """How many jobs of the batch wait or are leased."""
        return self.ready + self.delayed + self.leased


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker sends this record of itself with each claim and beat. Snapshots show the last record for a while.

    `running` is the number of jobs in hand: only a worker with no job in hand may be given suspects. `slots` is the number of
    jobs that the engine works on at once; it is 0 if the number is not known. `loading_s` is the number of seconds for which the
    worker has been loading its model; it is None once the model is loaded. `begun` is the number of jobs in hand whose rows the
    engine has begun, and `began_at` is the mean of the times when it began them, in seconds since 1970. `device` is the name of
    the engine's device, and `load_s` the seconds that its model took to load. `prompt_tokens`, `completion_tokens` and
    `device_ns` are what the attempts that are written so far took. A snapshot adds `silent_s`: for how many seconds the worker
    has not been heard of.
    """

    worker: str
    pid: int
    node: str
    lane: str
    running: int
    slots: int = 0
    loading_s: int | None = None
    silent_s: int = 0
    begun: int = 0
    began_at: float = 0.0
    device: str = ""
    load_s: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    device_ns: int = 0


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """A lane at one moment. `bytes` is the size of the payloads on the queue. `ready` counts the `suspects` too.

    `reason` says why the lane paused itself; it is empty if an operator paused it.
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
    """The calls that workers make. Each call is one atomic step, may safely be sent twice, and may raise QueueUnavailable."""

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
        due_ms: int = 0,
    ) -> FeedReply:
        """Add `rows` and move the batch's cursor in this lane from `cursor` to `next_cursor`.

        If the queue's cursor is not `cursor`, or the feed is refused, nothing is added (rule 6). If the queue does not know the
        batch, or knows it in an older round, the batch is first opened anew at cursor 0. Its jobs of the older round are
        dropped. If `finish` is True, leased jobs of the round before are kept and may run to their end. Rows that wait or are
        leased already are skipped. `due_ms` is when the batch is due, in Unix milliseconds; 0 means never.
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
        keep_ms: int = 0,
        scope: str = "",
    ) -> ClaimReply:
        """Lease up to `n` jobs, by priority, tenant and batch (rule 43 of jobs/PROTOCOL.md).

        Before that, delayed jobs that are due become ready, and jobs whose leases ran out are rescued. `claim_id` is the text
        of a `ClaimId`; a call with the same id returns the same jobs. Jobs of one incarnation whose leases run out together
        become a group of suspects. A rescued job carries the lease that it lost.

        The worker keeps the lane for the next `keep_ms` milliseconds unless another worker keeps it (rule 47). If `keep_ms` is 0,
        it does not, and gives the lane up if it kept it. Workers that feed different batches have different scopes, and each
        scope has a keeper of its own.
        """
        ...

    def make_id(self) -> None:
        """Give the store an id if it has none, so that all workers wait for rows on the same lanes (rule 42)."""
        ...

    def wait_for_rows(self, lane: str, timeout_s: float) -> bool:
        """Wait until rows may be there to claim, for `timeout_s` seconds at most, or less. Returns whether this worker was woken.

        A wake may be lost, so a worker that waits claims from time to time too.
        """
        ...

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        """Extend leases, so that they run out `lease_ms` from now. Returns the leases that are gone, and those of closed
        batches.
        """
        ...

    def leave(self, lane: str, worker: str) -> None:
        """Remove the worker from snapshots. It has ended, and holds no lease."""
        ...

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        """Report jobs as done or to be tried again. Returns the leases that were lost: nothing changed for them.

        A lease whose batch has ended is not returned, though nothing changed for it either.
        """
        ...

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        """Give leased jobs back without counting an attempt.

        Returns those of `leases` that were no longer valid: nothing changed for them.
        """
        ...


class Lanes(Protocol):
    """The calls that the feeder, the sweeper and operators make. Each call may raise QueueUnavailable."""

    def lanes(self) -> Sequence[str]:
        """Return the sorted names of the lanes that were ever fed or paused."""
        ...

    def snapshot(self, lane: str, *batch_ids: str, workers: bool = True) -> LaneSnapshot:
        """Return the lane as it is at this moment. If batches are named, only these are in the snapshot, and no worker.

        With `workers` False, no worker is in the snapshot, which makes it cheap however many workers there are.
        """
        ...

    def announce(self, lane: str, batch_id: str) -> None:
        """Say that a batch was accepted, reopened or resumed, so that the lane's keeper looks at it at once (rule 47)."""
        ...

    def drop(self, lane: str, batch_id: str, round_: int, *, forget: bool, finish: bool = False) -> int:
        """Take the waiting jobs of a batch off the lane, and close the batch, so that `beat` reports its leased jobs.

        If the queue knows a later round, nothing changes. If `finish` is True, the batch is not closed, so leased jobs may
        run to their end. If `forget` is True, the batch and its leased jobs are forgotten, as is done once the round is
        published. If both are True, the batch is forgotten only if none of its jobs is leased at this moment. Returns how many
        jobs were taken off.
        """
        ...

    def reset(self, lane: str, batch_id: str, version: int) -> bool:
        """Put the cursor of a batch back to 0. Returns whether the cursor was put back.

        The cursor is put back only if it is at the end, if the batch is not closed and has this `version`, and if no job of the
        batch is live.
        """
        ...

    def pause(self, lane: str) -> None:
        """Pause the lane: none of its jobs is claimed."""
        ...

    def resume(self, lane: str) -> None:
        """Resume the lane. Deaths of workers are counted from 0 again."""
        ...

    def ping(self, slow: Callable[[str], object] | None = None) -> Mapping[str, str]:
        """Return the server's version, memory limit, eviction policy and process id, by their names in Redis' INFO.

        If no answer comes within a second, `slow` is called with a message that names the server.
        """
        ...

    def check(self) -> None:
        """Raise QueueUnavailable unless the server takes writes. A replica takes no writes, and neither does a server whose
        disk is full.
        """
        ...

    def check_wakes(self) -> None:
        """Raise QueueUnavailable unless the server lets workers wait to be woken."""
        ...
