"""Checks a lane in Redis, reading its keys without any of the product's code."""

from collections import Counter
from typing import Any, Final

PLACES: Final = {"r": "ready", "y": "ready", "s": "suspects", "d": "delayed", "l": "leased", "b": "leased"}
"""State of a job -> the key that lists the job."""
COUNTED_AS: Final = {"r": "r", "y": "r", "s": "r", "d": "d", "l": "l", "b": "l"}


def lane_faults(client: Any, lane: str, *, store_id: str = "-", bytes_lost: bool = False) -> list[str]:
    """Return a sentence for each fault of the lane's keys. Every live job must be in exactly one state, and all counts must add
    up.

    If a lane has lost a key, check it only after the next claim, which repairs the lane. Pass `bytes_lost` if `meta` was lost:
    from then on, the bytes of the window are only an estimate.
    """
    pipe = client.pipeline(transaction=True)
    for name in ("jobs", "payload", "counts", "flights", "meta"):
        pipe.hgetall(f"np:2:{{{store_id}/{lane}}}:{name}")
    for name in ("ready", "suspects", "delayed", "leased", "waits"):
        pipe.zrange(f"np:2:{{{store_id}/{lane}}}:{name}", 0, -1)
    jobs, payload, counts, flights, meta, ready, suspects, delayed, leased, waits = pipe.execute()
    states = {job: jobs[job][:1].decode() if job in jobs else "r" for job in payload}
    parts = [member.split(b"|") for member in ready]
    places = [(part[3] + b"/" + part[-1], "ready") for part in parts]
    places += [
        (job, place)
        for place, members in (("suspects", suspects), ("delayed", delayed), ("leased", leased))
        for job in members
    ]
    counted = Counter(f"{_batch_of(job)}|{COUNTED_AS[state]}" for job, state in states.items())
    counted += Counter(f"|{COUNTED_AS[state]}" for state in states.values())
    found = {
        "the places of jobs": (sorted(places), sorted((job, PLACES[state]) for job, state in states.items())),
        "jobs without a payload": (sorted(jobs.keys() - payload.keys()), []),
        "the bytes": (int(meta.get(b"bytes", 0)), sum(map(len, payload.values()))),
        "the counts": (_numbers(counts), dict(counted)),
        "the groups that wait": (sorted(waits), sorted({b"|".join(member.split(b"|")[:2]) for member in ready})),
        "the flights": (sum(n for tenant, n in _numbers(flights).items() if tenant != "|"), len(leased)),
        "all flights": (_numbers(flights).get("|", 0), len(leased)),
    }
    if bytes_lost:
        del found["the bytes"]
    return [f"{what}: {is_!r} instead of {should!r}" for what, (is_, should) in found.items() if is_ != should]


def _batch_of(job: bytes) -> str:
    return job.rpartition(b"/")[0].decode()


def _numbers(fields: dict[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in fields.items()}
