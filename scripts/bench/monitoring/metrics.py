"""Measures what the metrics of a large fleet cost its process: an update of all figures, and a scrape.

Each of `--workers` has counted rows with all the labels that a night brings, and counts one more row before each update. The
open batches are known from memory, as in a fleet. The storage is gone by then, so a request to it would be an error.

    taskset -c 1 python scripts/bench/monitoring/metrics.py --workers 1000 --batches 200
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from prometheus_client import generate_latest

from jobs import logs
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.line import Outcome
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import LaneSnapshot
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import Usage
from workers.engines.protocol import EngineStats
from workers.monitoring.fleet_metrics import FleetMetrics
from workers.monitoring.worker_metrics import WorkerMetrics

UPDATES = 7
ROW = Outcome(
    0, 1, 1, "c", "completed", True, "chat", verdict="fit", usage=Usage(900, 100, 300, 10**9, 10**6, 10**6),
    receipt={"started_at": "2026-11-23T22:00:00Z", "finished_at": "2026-11-23T22:00:02Z"},
)  # fmt: skip
CODES = ("empty_output", "prompt_too_long", "generation_failed", "out_of_range")


def indexes(batches: int, rows: int) -> list[OutcomeIndex]:
    """Return the indexes of so many batches, whose store is gone."""
    with tempfile.TemporaryDirectory() as folder:
        store, settings = open_store(str(Path(folder) / "store")), Settings(model="stub")
        line = orjson.dumps({"kind": "chat", "prompt": "Say."})
        made = accept(store, [line] * rows, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
        found = []
        for _ in range(batches):
            index = OutcomeIndex(store, made.model_copy(update={"deadline": datetime.now(UTC) + timedelta(hours=1)}))
            index.refresh()
            found.append(index)
    return found


def main() -> None:
    """Update and scrape several times, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=200)
    args = parser.parse_args()
    logs.configure("error")
    workers = [WorkerMetrics() for _ in range(args.workers)]
    failed = [replace(ROW, status="failed", error={"code": code}) for code in CODES]
    for worker in workers:
        worker.written([ROW, *failed])
    stats = EngineStats("NVIDIA H200", 256, 10, 250, 9, 1, 1, 10**12, 10**10, 10**10)
    lanes = {"m": LaneSnapshot("m", False, 4096, 0, 9999, 0, {}, ())}
    fleet, open_batches = FleetMetrics(), indexes(args.batches, 1000)
    tell, update, scrape, size = [], [], [], 0
    for n in range(UPDATES):
        for worker in workers:
            worker.written([ROW])
        began = time.process_time()
        told = [worker.samples(replace(stats, steps=n), 0) for worker in workers]
        statuses = [{"worker": f"w-{k}", "model": "m", "metrics": one} for k, one in enumerate(told)]
        tell.append((time.process_time() - began) / args.workers)
        began = time.process_time()
        fleet.update(statuses, lanes, open_batches, datetime.now(UTC))
        update.append(time.process_time() - began)
        began = time.process_time()
        size = len(generate_latest(fleet.registry))
        scrape.append(time.process_time() - began)
    print(
        f"{args.workers} workers, {args.batches} batches: {statistics.median(update) * 1e3:.1f} ms an update, "
        f"{statistics.median(scrape) * 1e3:.1f} ms a scrape of {size / 1000:.0f} kB, "
        f"{statistics.median(tell) * 1e6:.0f} us in each worker"
    )


if __name__ == "__main__":
    main()
