"""The forms in which rows, leases and settings travel to the queue's scripts, and replies come back. It knows no redis."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from jobs.job import InputSlice, Job, JobKey, Lease
from jobs.job_queue import BatchSchedule, FeedRow, LanePolicy, WorkerRecord

RECORD_MS: Final = 15_000
"""A worker that has not spoken for so long, and for longer than its lease, is no longer shown."""


def shares(policy: LanePolicy) -> bytes:
    """What each tenant is due, as the claim reads it."""
    shares = {name: {"weight": share.weight, "cap": share.rows_in_flight} for name, share in policy.tenants.items()}
    return orjson.dumps({name: {n: v for n, v in share.items() if v is not None} for name, share in shares.items()})


def feed_args(row: FeedRow) -> tuple[Any, ...]:
    """One row to be fed."""
    cost = min(max(row.cost, 1), 10**9)
    return (row.row, row.priority, row.tenant, cost, row.attempts, row.crashes, row.solo_crashes, _packed(row.payload))


def _packed(payload: bytes | InputSlice) -> bytes:
    if isinstance(payload, InputSlice):
        return f"@{payload.offset},{payload.length}".encode()
    return b"=" + payload


def _unpacked(packed: bytes) -> bytes | InputSlice:
    """The payload; bytes that are not one of ours come back as they are, and fail when the request is read."""
    if packed.startswith(b"@"):
        offset, _, length = packed[1:].partition(b",")
        if offset.isdigit() and length.isdigit():
            return InputSlice(int(offset), int(length))
    return packed[1:]


def lease_args(lease: Lease) -> tuple[Any, ...]:
    """A lease to be compared with what the queue remembers."""
    return (str(lease.key), lease.round, lease.fence, lease.claim_id)


def job_of(fields: Sequence[Any], claim_id: str) -> Job:
    """A claimed job, from its fields."""
    name, round_, fence, attempt, crashes, burial, lost_fence, lost_claim, payload, solo, lost_solo, suspect = fields
    key = JobKey.parse(name.decode())
    lost = (Lease(key, round_, lost_fence, lost_claim.decode()),) if lost_fence >= 0 else ()
    return Job(
        lease=Lease(key, round_, fence, claim_id),
        payload=_unpacked(payload),
        attempt=max(attempt, 1),
        crashes=crashes,
        rescued=bool(lost) or bool(burial),
        burial=bool(burial),
        lost=lost,
        solo_crashes=solo,
        lost_solo=bool(lost_solo),
        suspect=bool(suspect),
    )


def schedule_of(batch_id: str, record: Mapping[str, Any], live: Mapping[str, int]) -> BatchSchedule:
    """A batch in a lane; `live` counts its jobs by state."""
    return BatchSchedule(
        batch_id=batch_id,
        round=record["round"],
        cursor=record["cursor"],
        at_end=record["at_end"],
        closed=record["closed"],
        ready=live.get(f"{batch_id}|r", 0),
        delayed=live.get(f"{batch_id}|d", 0),
        leased=live.get(f"{batch_id}|l", 0),
        version=record["version"],
    )


def schedules_of(batches: Sequence[bytes], live: Mapping[str, int]) -> dict[str, BatchSchedule]:
    """Each batch of a lane. One whose record is damaged is left out: then it is not known, and is fed anew."""
    found: dict[str, BatchSchedule] = {}
    for name, raw in pairs(batches):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found[name.decode()] = schedule_of(name.decode(), orjson.loads(raw), live)
    return found


def record_of(worker: WorkerRecord) -> bytes:
    """What a worker says of itself."""
    return orjson.dumps(worker)


def old_ms(lease_ms: int) -> int:
    """After how long that is forgotten."""
    return max(lease_ms, RECORD_MS)


def pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names and values of a hash."""
    return zip(flat[::2], flat[1::2], strict=True)
