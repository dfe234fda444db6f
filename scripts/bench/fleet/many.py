"""Measures the memory of feeder, publisher and Redis while many batches of many tenants are open.

    python scripts/bench/fleet/many.py [--rows 1000000] [--batches 200] [--tenants 20] [--folder /dev/shm] [--json FILE]

The rows lie in `--batches` batches of equal size, which belong to the tenants in turn. Three processes work on a real Redis and
a real store until all batches are published: one that keeps the lane and feeds it, as a worker's claimer does; one with the
sweeper of a supervisor, which publishes and compacts; and one with a light worker, which claims rows, writes segments, and
settles. Nothing is computed, so a night takes minutes.

The table shows the resident memory of each process when a quarter, a half and all of the rows were done, each as the mean of
some samples, and its peak. The feeder and the sweeper hold a byte for each row of the open batches, and the name of each segment
of these; nothing else grows with the rows. The window bounds what Redis and the workers hold.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any, Final

import redis

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.batches.batch import Batch, BatchPaths, LaneInput
from jobs.batches.open_batches import OpenBatches
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import to_bytes
from jobs.batches.segments import segment
from jobs.lanes.feed import Feeder
from jobs.lanes.job import ClaimId, Lease
from jobs.lanes.protocol import Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import configure
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store
from scripts.bench.queue_peers.server import server
from scripts.bench.scale_parts.batches import LANE, WHEN, completed
from workers.worker.lane_keeper import KEEP_MS

CLAIMED: Final = 64
FLUSHED: Final = 4_096
"""A light worker writes its finished rows, a segment for each batch, once it has this many."""
SIZE: Final = 200
"""Bytes of a published text. What is measured here does not depend on it."""
LEASE_MS: Final = 600_000
SAMPLED_S: Final = 0.5
POLL_S: Final = 0.05
PARTS: Final = ("feeder", "sweeper", "workers")
END_S: Final = 3600.0


def settings_of(store: str, url: str) -> Settings:
    """Return the default settings with this storage and this Redis."""
    return Settings.model_validate({"store_url": store, "redis_url": url, "model": LANE})


def accept(store: Store, name: str, tenant: str, rows: int) -> None:
    """Write the input and the acceptance of a batch of short requests."""
    paths, digest, size = BatchPaths(name), hashlib.sha256(), 0
    with store.writer(paths.input(LANE)) as file:
        for row in range(rows):
            one = RowRequest(row=row, line=row + 1, kind="chat", model=LANE, request={"prompt": "x"}, tenant=tenant)
            line = one.to_line()
            file.write(line)
            digest.update(line)
            size += len(line)
    batch = Batch(
        batch_id=name, name=name, tenant=tenant, priority=4, run_key=name, rows=rows, refused=0, full_sha256="0" * 64,
        lanes={LANE: LaneInput(model=LANE, rows=rows, bytes=size, sha256=digest.hexdigest())}, created_at=WHEN,
    )  # fmt: skip
    store.create(paths.acceptance, to_bytes(batch))
    store.create(paths.open_hint, b"")


def feed(settings: Settings) -> None:
    """Keep the lane and feed it, as the claimer of a worker without room does, until SIGTERM."""
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s)
    feeder, me, claims = Feeder(store, queue, batches, settings), WorkerRecord("keeper", 1, "bench", LANE, 1), 0
    while True:
        reply = queue.claim(LANE, str(ClaimId("keeper", "1", claims)), 0, LEASE_MS, me, keep_ms=KEEP_MS)
        claims += 1
        batches.scan()
        if not feeder.top_up(LANE, reply.ready, hungry=reply.ready < CLAIMED):
            time.sleep(POLL_S)


def sweep(settings: Settings) -> None:
    """Publish and compact as a supervisor does, until SIGTERM."""
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s)
    sweeper = Sweeper(
        store, queue, batches, settings.prices, breaker_rows=settings.breaker_rows,
        compact_segments=settings.compact_segments,
    )  # fmt: skip
    while True:
        sweeper.sweep()
        time.sleep(settings.publish_check_s)


def work(settings: Settings) -> None:
    """Claim, write segments and settle, until SIGTERM."""
    store = open_store(settings.store_url)
    queue = RedisQueue.from_settings(settings, store)
    claims = segments = 0
    finished: list[Lease] = []
    while True:
        me = WorkerRecord("light", 1, "bench", LANE, 0, slots=CLAIMED)
        jobs = queue.claim(LANE, str(ClaimId("light", "1", claims)), CLAIMED, LEASE_MS, me).jobs
        claims += 1
        finished += [job.lease for job in jobs]
        if not jobs and not finished:
            time.sleep(POLL_S)
        if len(finished) < FLUSHED and jobs:
            continue
        by_batch: dict[str, list[Lease]] = defaultdict(list)
        for lease in finished:
            by_batch[lease.key.batch_id].append(lease)
        for batch_id, leases in by_batch.items():
            segments += 1
            outcomes = [
                completed(one.key.row, SIZE, round=one.round, fence=one.fence, claim_id=one.claim_id) for one in leases
            ]
            segment.write(store, BatchPaths(batch_id), outcomes, "light", "1", segments)
            queue.settle(LANE, [Settlement(lease) for lease in leases])
        finished = []


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measured(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Accept the batches, run the night, and sample the memory until all batches are published."""
    store_url, each = str(folder / "store"), max(args.rows // args.batches, 1)
    store = open_store(store_url)
    for n in range(args.batches):
        accept(store, f"b{n:04}", f"tenant-{n % args.tenants}", each)
    with server(folder / "redis") as url, redis.Redis.from_url(url) as client:
        queue = RedisQueue.from_url(url, store=store)
        queue.make_id()
        command = [sys.executable, __file__, f"--store={store_url}", f"--redis={url}"]
        parts = {name: subprocess.Popen([*command, f"--part={name}"]) for name in PARTS}
        samples: list[dict[str, float]] = []
        began = time.monotonic()
        try:
            while (left := len(store.list("open"))) and time.monotonic() - began < END_S:
                if any(part.poll() is not None for part in parts.values()):
                    sys.exit("a part of the night ended early")
                sample = {name: memory_mb(part.pid) for name, part in parts.items()}
                fed = queue.snapshot(LANE, workers=False)
                done = number(client.hget(next(client.scan_iter(f"*{LANE}}}:meta", 1000), "-"), "finished"))
                samples.append({**sample, "Redis": client.info("memory")["used_memory"] / 1e6, "done": done})
                if args.verbose:
                    print(f"{done:,.0f} rows done, {fed.ready:,} ready, {left} batches open", flush=True)
                time.sleep(SAMPLED_S)
        finally:
            for part in parts.values():
                part.send_signal(signal.SIGKILL)
                part.wait()
    return {
        "rows": each * args.batches, "batches": args.batches, "tenants": args.tenants, "seconds": time.monotonic() - began,
        "memory": {name: summary(samples, name) for name in (*PARTS, "Redis")},
    }  # fmt: skip


def number(value: Any) -> float:
    """Return a number as Redis keeps it; 0 if there is none."""
    return float(value or 0)


def summary(samples: list[dict[str, float]], name: str) -> dict[str, float]:
    """Return the memory of a process when a quarter, a half and all rows were done, and its peak, in MB."""
    most = max(sample["done"] for sample in samples)
    return {
        "quarter": mean_near(samples, name, 0.25 * most),
        "half": mean_near(samples, name, 0.5 * most),
        "end": mean_near(samples, name, most),
        "peak": max(sample[name] for sample in samples),
    }


def mean_near(samples: list[dict[str, float]], name: str, done: float) -> float:
    """Return the mean of the samples that are nearest to the moment at which so many rows were done."""
    nearest = sorted(samples, key=lambda sample: abs(sample["done"] - done))
    return mean(sample[name] for sample in nearest[: max(len(samples) // 20, 1)])


def main() -> None:
    """Run the benchmark and print the table. With --part, which the script gives to its own processes, run that part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the store is made; it is removed afterwards")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    args = parser.parse_args()
    configure("error", "json")
    if args.part:
        {"feeder": feed, "sweeper": sweep, "workers": work}[args.part](settings_of(args.store, args.redis))
        return
    with tempfile.TemporaryDirectory(prefix="nightpress-", dir=args.folder, ignore_cleanup_errors=True) as folder:
        found = measured(args, Path(folder))
    print(f"{found['rows']:,} rows, {args.batches} batches, {args.tenants} tenants: {found['seconds']:,.0f} s")
    print(f"{'MB':12}" + "".join(f"{what:>10}" for what in ("quarter", "half", "end", "peak")))
    for name, one in found["memory"].items():
        print(f"{name:12}" + "".join(f"{value:10,.1f}" for value in one.values()))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
