"""Answers the workload with a lane of Nightpress whose model runs on vLLM: queue, worker, storage and all.

A batch of completions is accepted into a store in a temporary folder, and a Redis server starts. A worker loads the model,
claims the rows, and settles each after its outcome is in storage. All of it runs on the core that the contender is given. The
time begins when the model is loaded, and ends with the last outcome in storage. argv[3] is the end token, which is banned from
all texts, so that no text ends early.
"""

import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

clock = Clock()

import io  # noqa: E402 - the clock begins before heavy imports
import json  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from jobs.intake.accept import IntakeOptions, accept  # noqa: E402
from jobs.kinds.registry import load_kinds  # noqa: E402
from jobs.settings import Settings  # noqa: E402
from jobs.store.opening import open_store  # noqa: E402
from scripts.bench.queue_peers.server import server  # noqa: E402
from workers.worker.worker import Worker, WorkerPlan  # noqa: E402

LANE = "bench"
POLL_S = 0.05


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]."""
    work = Workload.read(sys.argv[1])
    card = {"engine": "vllm", "source": work.folder, "dtype": work.dtype, "slots": work.slots, "device": work.device}
    with tempfile.TemporaryDirectory() as scratch, server(Path(scratch) / "redis") as url:
        settings = Settings.model_validate(
            {
                "redis_url": url,
                "store_url": f"{scratch}/store",
                "cache_dir": f"{scratch}/cache",
                "spool_dir": f"{scratch}/spool",
                "models": {LANE: {**card, "checks": False, "options": {"context": 1024}}},
                "model": LANE,
                "log_level": "error",
                "flush_s": 0.2,
            }
        )
        store = open_store(settings.store_url)
        rows = (
            {
                "kind": "completion",
                "prompt": request.prompt,
                "max_tokens": request.new_tokens,
                "temperature": 0.0,
                "seed": 1,
                "logit_bias": {sys.argv[3]: -100.0},
            }
            for request in work.requests
        )
        data = io.BytesIO(b"\n".join(json.dumps(row).encode() for row in rows))
        accept(store, data, IntakeOptions(name="bench"), kinds=load_kinds(), settings=settings, run_key="bench")
        worker = Worker(WorkerPlan("w-1", LANE, url, settings))
        running = threading.Thread(target=worker.run)
        running.start()
        while "load_s" not in worker.status():
            time.sleep(POLL_S)
        clock.loaded()
        done: dict[int, int] = {}
        read: set[Path] = set()
        while len(done) < len(work.requests):
            time.sleep(POLL_S)
            for path in set(Path(settings.store_url).glob("batches/*/segments/*.jsonl")) - read:
                read.add(path)
                done |= _outcomes(path)
        clock.done(sum(done.values()))
        worker.stop(0.0)
        running.join()


def _outcomes(segment: Path) -> dict[int, int]:
    """Return the completed rows of a segment, each with its completion tokens."""
    published = (json.loads(line).get("published") for line in segment.read_text().splitlines())
    outcomes = [one for one in published if one is not None and one["status"] == "completed"]
    return {one["row"]: one["usage"]["completion_tokens"] for one in outcomes}


main()
