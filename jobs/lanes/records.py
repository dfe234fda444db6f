"""The forms in which rows, leases and settings travel to the queue's scripts, and replies come back. It knows no redis."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import orjson

from jobs.lanes.job import InputSlice, Job, JobKey, Lease
from jobs.lanes.protocol import BatchSchedule, FeedRow, LanePolicy, Settlement, WorkerRecord

RECORD_MS: Final = 15_000
"""A worker that has not spoken for so long, and for longer than its lease, is no longer shown."""

_HEAD: Final = re.compile(rb"\d+\|\d\|[^|]*\|\d+\|")
"""What `feed_args` puts before a payload: round, priority, tenant, cost."""


def shares(policy: LanePolicy) -> bytes:
    """What each tenant is due, as the claim reads it."""
    shares = {name: {"weight": share.weight, "cap": share.rows_in_flight} for name, share in policy.tenants.items()}
    return orjson.dumps({name: {n: v for n, v in share.items() if v is not None} for name, share in shares.items()})


def feed_args(round_: int, row: FeedRow) -> tuple[str, bytes]:
    """One row to be fed, of a round: its number with the tries that it had, if any; and the payload behind its head."""
    tries = f"|{row.attempts}|{row.crashes}|{row.solo_crashes}" if row.attempts or row.crashes else ""
    cost, payload = min(max(row.cost, 1), 10**9), row.payload
    head = f"{round_}|{row.priority}|{row.tenant}|{cost}|"
    if isinstance(payload, InputSlice):
        return f"{row.row}{tries}", f"{head}@{payload.offset},{payload.length}".encode()
    return f"{row.row}{tries}", b"%b=%b" % (head.encode(), payload)


def _unpacked(stored: bytes) -> bytes | InputSlice:
    """The payload behind its head; bytes that are not one of ours come back as they are, and fail when the request is read."""
    head = _HEAD.match(stored)
    begin = head.end() if head else 0
    if stored[begin : begin + 1] == b"@":
        offset, _, length = stored[begin + 1 :].partition(b",")
        if offset.isdigit() and length.isdigit():
            return InputSlice(int(offset), int(length))
    return stored[begin + 1 :]


def lease_lines(leases: Iterable[Lease], more: Iterable[object] = repeat("")) -> bytes:
    """Leases to be compared with what the queue remembers, each a line, and `more` to say of each."""
    lines = [
        f"{lease.key.batch_id}/{lease.key.row}|{lease.round}|{lease.fence}|{lease.claim_id}|{said}\n"
        for lease, said in zip(leases, more, strict=False)
    ]
    return "".join(lines).encode()


def report_lines(settlements: Sequence[Settlement]) -> bytes:
    """Reports on leases: after how many ms a job is to be tried again, or nothing when it is done."""
    delays = (report.delay_ms if report.action == "retry" else "" for report in settlements)
    return lease_lines((report.lease for report in settlements), delays)


def jobs_of(flat: Sequence[bytes], claim_id: str) -> list[Job]:
    """The jobs of a claim, from the name, the record and the payload of each; lane.lua says how they are written."""
    return [_job(name, record, payload, claim_id) for name, record, payload in zip(*[iter(flat)] * 3, strict=True)]


def _job(name: bytes, record: bytes, payload: bytes, claim_id: str) -> Job:
    batch_id, _, row = name.decode().rpartition("/")
    key = JobKey(batch_id, int(row))
    state, round_, fence, attempts, crashes, _, _, _, _, _, *crashed = record.split(b"|")
    lease, burial = Lease(key, int(round_), int(fence), claim_id), state == b"b"
    if not crashed:
        return Job(lease, _unpacked(payload), max(int(attempts), 1), burial=burial, rescued=burial)
    lost_fence, lost_claim, solo, _, together, lost_solo = crashed
    lost = (Lease(key, int(round_), int(lost_fence), lost_claim.decode()),) if int(lost_fence) >= 0 else ()
    return Job(
        lease=lease,
        payload=_unpacked(payload),
        attempt=max(int(attempts), 1),
        crashes=int(crashes),
        rescued=bool(lost) or burial,
        burial=burial,
        lost=lost,
        solo_crashes=int(solo),
        lost_solo=lost_solo == b"1",
        suspect=int(together) > 0,
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
