"""A job: one row on the queue, and the forms in which it travels.

`RowRequest` is a normalised request: with its checksum, one line of `input/<lane>.jsonl`. `Job` is what a claim hands to a
worker: the row, its lease and its payload. A payload is the line itself when it is small, else where it stands in the input.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """Which job: the row of a batch. On the queue it is written `<batch_id>/<row>`."""

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
    """Where a request stands in its lane's input file: `length` bytes from `offset`, without the newline."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to report on a job. The queue takes a report only if all of these match what it remembers."""

    key: JobKey
    round: int
    fence: int
    claim_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job.

    `attempt` counts from 1. `crashes` counts the leases that ran out, which cost no attempt; `solo_crashes` are those of
    them with nothing else in the worker's hand. `rescued` is set when this claim follows a lost lease (`lost`, and whether
    that was solo), so that the row may already have an outcome in storage. A `suspect` was lost with a worker, and is run
    beside no other jobs than those of this claim. A `burial` is not to be run: the claimer writes its final failure.
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
        """The row of a batch that this job is."""
        return self.lease.key
