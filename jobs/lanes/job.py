"""Jobs: a job is one row on the queue. A claim leases it to a worker, with a lease and a payload.

The payload is the row's line of `input/<lane>.jsonl` if that is short, else the place of that line (`InputSlice`).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """Names a job by its batch and row. On the queue it is written `<batch_id>/<row>`."""

    batch_id: str
    row: int

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.row}"

    @classmethod
    def parse(cls, text: str) -> "JobKey":
        """The key that `str()` wrote."""
        batch_id, _, row = text.rpartition("/")
        return cls(batch_id, int(row))


@dataclass(frozen=True, slots=True)
class ClaimId:
    """Names one claim: the `n`-th of one life (`incarnation`) of a worker. It is written `<worker>-<incarnation>-<n>`.

    The queue tells by it which leases belong to one life of a worker: jobs of one that run out together are suspects.
    """

    worker: str
    incarnation: str
    n: int

    def __post_init__(self) -> None:
        if not self.incarnation or "-" in self.incarnation:
            raise ValueError(f"an incarnation is a word without hyphens: {self.incarnation!r}")

    def __str__(self) -> str:
        return f"{self.worker}-{self.incarnation}-{self.n}"

    @classmethod
    def parse(cls, text: str) -> "ClaimId":
        """The claim id that `str()` wrote. Raises ValueError when it wrote no such text."""
        try:
            worker, incarnation, n = text.rsplit("-", 2)
            return cls(worker, incarnation, int(n))
        except ValueError:
            raise ValueError(f"no claim id: {text!r}") from None


@dataclass(frozen=True, slots=True)
class InputSlice:
    """The place of a request in its lane's input file: `length` bytes from `offset`, without the newline."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to report on a job. The queue takes a report only if all four fields match (rule 9 of jobs/PROTOCOL.md)."""

    key: JobKey
    round: int
    fence: int
    claim_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job.

    `attempt` counts from 1. `crashes` counts leases that ran out, which cost no attempt; `solo_crashes` counts those of them
    with no other job in the worker's hand. `rescued` is True if an earlier lease was lost, so the row may already have an
    outcome in storage; `lost` is that lease, and `lost_solo` says whether it was the only job in hand. A `suspect` was lost
    with a worker, and is run with no other jobs than those of its claim (rule 34). A `burial` is not run: the claimer writes
    its final failure (rule 11).
    """

    lease: Lease
    payload: bytes | InputSlice
    attempt: int = 1
    crashes: int = 0
    solo_crashes: int = 0
    suspect: bool = False
    rescued: bool = False
    burial: bool = False
    lost: tuple[Lease, ...] = field(default=())
    lost_solo: bool = False

    @property
    def key(self) -> JobKey:
        """The name of the job."""
        return self.lease.key
