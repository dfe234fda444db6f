"""What must hold of a lane in Redis, read from its keys with none of the product's code."""

from collections import Counter
from typing import Any, Final

PLACES: Final = {"r": "ready", "y": "ready", "s": "suspects", "d": "delayed", "l": "leased", "b": "leased"}
COUNTED_AS: Final = {"r": "r", "y": "r", "s": "r", "d": "d", "l": "l", "b": "l"}


def lane_faults(client: Any, lane: str, *, bytes_lost: bool = False) -> list[str]:
    """What is wrong with the keys of the lane: each live job is in exactly one state, and everything adds up.

    A lane that lost a key is mended by the next claim, and not to be asked before. Bytes that were lost with `meta` are only an
    estimate of the window afterwards.
    """
    pipe = client.pipeline(transaction=True)
    for name in ("jobs", "payload", "counts", "tenants", "flights", "meta"):
        pipe.hgetall(f"np:1:{{{lane}}}:{name}")
    for name in ("ready", "suspects", "delayed", "leased"):
        pipe.zrange(f"np:1:{{{lane}}}:{name}", 0, -1)
    jobs, payload, counts, tenants, flights, meta, ready, suspects, delayed, leased = pipe.execute()
    states = {job: jobs[job][:1].decode() if job in jobs else "r" for job in payload}
    places = [(member.rpartition(b"|")[2], "ready") for member in ready]
    places += [
        (job, place)
        for place, members in (("suspects", suspects), ("delayed", delayed), ("leased", leased))
        for job in members
    ]
    counted = Counter(f"{_batch_of(job)}|{COUNTED_AS[state]}" for job, state in states.items())
    found = {
        "the places of jobs": (sorted(places), sorted((job, PLACES[state]) for job, state in states.items())),
        "jobs without a payload": (sorted(jobs.keys() - payload.keys()), []),
        "the bytes": (int(meta.get(b"bytes", 0)), sum(map(len, payload.values()))),
        "the counts": (_numbers(counts), dict(counted)),
        "the tenants": (_numbers(tenants), dict(Counter(b"|".join(m.split(b"|")[:2]).decode() for m in ready))),
        "the flights": (sum(_numbers(flights).values()), len(leased)),
    }
    if bytes_lost:
        del found["the bytes"]
    return [f"{what}: {is_!r}, and not {should!r}" for what, (is_, should) in found.items() if is_ != should]


def _batch_of(job: bytes) -> str:
    return job.rpartition(b"/")[0].decode()


def _numbers(fields: dict[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in fields.items()}
