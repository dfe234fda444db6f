"""A job is one row on the queue. A claim gives the job to a worker, with a lease and a payload.

The payload is the row's line of `input/<lane>.jsonl` if the line has at most `inline_bytes` bytes. Otherwise the payload is the
place of that line (`InputSlice`).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """A job key names a job by its batch and row. On the queue the key is written `<batch_id>/<row>`."""

    batch_id: str
    row: int

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.row}"

    @classmethod
    def parse(cls, text: str) -> "JobKey":
        """Read the key that `str()` wrote."""
        batch_id, _, row = text.rpartition("/")
        return cls(batch_id, int(row))


@dataclass(frozen=True, slots=True)
class ClaimId:
    """A claim id names the `n`-th claim of one life (`incarnation`) of a worker. It is written `<worker>-<incarnation>-<n>`.

    From the id the queue knows which leases belong to one life of a worker. Jobs of one life whose leases run out together
    become suspects (rule 34 of jobs/PROTOCOL.md).
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
        """Read the claim id that `str()` wrote. Raises ValueError if `text` is no claim id."""
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
    """A lease is the right of one claim to report on a job.

    The queue takes a report only if all four fields match (rule 9 of jobs/PROTOCOL.md).
    """

    key: JobKey
    round: int
    fence: int
    claim_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job.

    `attempt` counts from 1. `crashes` counts the job's leases that ran out; such a lease costs no attempt. `solo_crashes` counts
    the crashes in which the worker held no other job. `lost` holds the job's last lease that ran out, and is empty if none did.
    `lost_solo` says whether that crash was solo. `rescued` is True for a burial, and for a job whose `lost` holds a lease; the
    row may then already have an outcome in storage. `suspect` is True if the job was claimed as a suspect: only suspects of the
    same claim run beside it (rule 34). `burial` is True if the job is not to be run: the claimer writes its final failure
    (rule 11).
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
