"""This module writes arguments (rows, leases, settings) for the scripts of a lane, and reads the scripts' replies."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import orjson

from jobs.lanes.job import InputSlice, Job, JobKey, Lease
from jobs.lanes.places import MOST_COST
from jobs.lanes.protocol import BatchSchedule, FeedRow, LanePolicy, Settlement, WorkerRecord

SHOWN_MS: Final = 15_000
"""Snapshots show a worker for this many milliseconds after its last claim or beat, or as long as a lease if that is longer."""

_HEAD: Final = re.compile(rb"\d+\|\d\|[^|]*\|\d+\|\d+\|")
"""The head that `feed_args` puts before a payload: round, priority, tenant, cost, place."""


def tenants_json(policy: LanePolicy) -> bytes:
    """Return the weight and the cap of each tenant as JSON, in the form that claim.lua reads."""
    settings = {
        name: {"weight": tenant.weight, "cap": tenant.rows_in_flight} for name, tenant in policy.tenants.items()
    }
    return orjson.dumps({name: {n: v for n, v in one.items() if v is not None} for name, one in settings.items()})


def feed_args(round_: int, row: FeedRow) -> tuple[str, bytes]:
    """Return the two arguments of feed.lua for a row.

    The first is the row's number, with the counts of earlier attempts if there are any. The second is its payload after a head.
    """
    counts = f"|{row.attempts}|{row.crashes}|{row.solo_crashes}" if row.attempts or row.crashes else ""
    cost, payload = min(max(row.cost, 1), MOST_COST), row.payload
    place = row.row if row.place is None else row.place
    head = f"{round_}|{row.priority}|{row.tenant}|{cost}|{place}|"
    if isinstance(payload, InputSlice):
        return f"{row.row}{counts}", f"{head}@{payload.offset},{payload.length}".encode()
    return f"{row.row}{counts}", b"%b=%b" % (head.encode(), payload)


def _payload(stored: bytes) -> bytes | InputSlice:
    """Return a stored payload without its head. Damaged bytes are returned too: reading the request from them fails later."""
    head = _HEAD.match(stored)
    begin = head.end() if head else 0
    if stored[begin : begin + 1] == b"@":
        offset, _, length = stored[begin + 1 :].partition(b",")
        if offset.isdigit() and length.isdigit():
            return InputSlice(int(offset), int(length))
    return stored[begin + 1 :]


def lease_lines(leases: Iterable[Lease], reports: Iterable[object] = repeat("")) -> bytes:
    """Return leases as text, one a line, each followed by its report."""
    lines = [
        f"{lease.key.batch_id}/{lease.key.row}|{lease.round}|{lease.fence}|{lease.claim_id}|{report}\n"
        for lease, report in zip(leases, reports, strict=False)
    ]
    return "".join(lines).encode()


def report_lines(settlements: Sequence[Settlement]) -> bytes:
    """Return a line for each report: the lease, and the milliseconds until its job is tried again (empty if it is done)."""
    delays = (report.delay_ms if report.action == "retry" else "" for report in settlements)
    return lease_lines((report.lease for report in settlements), delays)


def jobs_of(flat: Sequence[bytes], claim_id: str) -> list[Job]:
    """Return the jobs of a claim. `flat` has the name, the record and the payload of each job in turn.

    lua/parts/lane.lua describes the records.
    """
    return [_job(name, record, payload, claim_id) for name, record, payload in zip(*[iter(flat)] * 3, strict=True)]


def _job(name: bytes, record: bytes, payload: bytes, claim_id: str) -> Job:
    batch_id, _, row = name.decode().rpartition("/")
    key = JobKey(batch_id, int(row))
    state, round_, fence, attempts, crashes, _, _, _, _, _, _, *crashed = record.split(b"|")
    lease, burial = Lease(key, int(round_), int(fence), claim_id), state == b"b"
    if not crashed:
        return Job(lease, _payload(payload), max(int(attempts), 1), burial=burial, rescued=burial)
    lost_fence, lost_claim, solo, _, together, lost_solo = crashed
    lost = (Lease(key, int(round_), int(lost_fence), lost_claim.decode()),) if int(lost_fence) >= 0 else ()
    return Job(
        lease=lease,
        payload=_payload(payload),
        attempt=max(int(attempts), 1),
        crashes=int(crashes),
        rescued=bool(lost) or burial,
        burial=burial,
        lost=lost,
        solo_crashes=int(solo),
        lost_solo=lost_solo == b"1",
        suspect=int(together) > 0,
    )


def schedules_of(batches: Sequence[bytes], live: Mapping[str, int]) -> dict[str, BatchSchedule]:
    """Return the batches of a lane by their ids. `batches` is the hash of their records as a flat list of fields and values.

    `live` counts jobs by `<batch>|<state>`. A batch whose record is damaged is left out, as if the queue did not know it: the
    batch is then fed anew.
    """
    found: dict[str, BatchSchedule] = {}
    for name, raw in pairs(batches):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found[name.decode()] = _schedule(name.decode(), orjson.loads(raw), live)
    return found


def _schedule(batch_id: str, record: Mapping[str, Any], live: Mapping[str, int]) -> BatchSchedule:
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


def worker_bytes(worker: WorkerRecord) -> bytes:
    """Return the record of a worker as it is stored."""
    return orjson.dumps(worker)


def workers_of(records: Iterable[bytes], now_ms: int) -> list[WorkerRecord]:
    """Return the workers of a lane that are shown at `now_ms`, by the server's clock.

    Damaged records are left out, and fields of newer releases are passed over. A record is stored after the time until which
    the worker is shown and the time of its last call, both in ms.
    """
    found: list[WorkerRecord] = []
    for raw in records:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            shown_until, heard_at, record = raw.split(b"|", 2)
            if int(shown_until) > now_ms:
                silent_s = max(0, now_ms - int(heard_at)) // 1000
                values = {name: one for name, one in orjson.loads(record).items() if name in WorkerRecord.__slots__}
                found.append(WorkerRecord(**{**values, "silent_s": silent_s}))
    return found


def shown_ms(lease_ms: int) -> int:
    """Return for how many milliseconds a worker with leases of `lease_ms` is shown after its last claim or beat."""
    return max(lease_ms, SHOWN_MS)


def pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Pair the fields of a hash with their values, from the flat list that a script returns."""
    return zip(flat[::2], flat[1::2], strict=True)
