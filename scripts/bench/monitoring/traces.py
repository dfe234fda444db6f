"""Measures what traces of rows cost a worker: the processor time of its process for a row, with and without traces, in pairs.

Each measurement runs the rows of one batch through a worker with the stub engine, which takes no time, a local store and the
imitation of Redis, in this process. A real worker shares this time among rows that take seconds, so a share of it is small. The
runs of a pair stand next to each other, in turn of either order. Spans are dropped once they are made into the bytes of OTLP.

    OMP_NUM_THREADS=1 taskset -c 1 python scripts/bench/monitoring/traces.py --rows 4000 --pairs 5
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import orjson
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from jobs import logs
from jobs.batches.open_batches import OpenBatches
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.monitoring.traces import RowTraces
from workers.worker.context import WorkerContext
from workers.worker.runner import Runner


class Dropped(SpanExporter):
    """Makes spans into the bytes of OTLP, as a worker does that sends them, and drops these."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def cpu_s_of_a_row(share: float | None, rows: int) -> float:
    """Return the processor time of a row in seconds. `share` of the rows is traced; None: tracing is off."""
    settings = Settings(model="stub", flush_s=0.5, store_url=".", breaker_rows=0)
    with tempfile.TemporaryDirectory() as folder:
        store, kinds = open_store(str(Path(folder) / "store")), load_kinds()
        lines = [orjson.dumps({"kind": "chat", "prompt": f"Row {n}.", "max_tokens": 8}) for n in range(rows)]
        accept(store, lines, IntakeOptions(), kinds=kinds, settings=settings, run_key="b")
        queue = RedisQueue(fakeredis.FakeRedis(), store=store)
        engine = StubEngine(StubOptions(slots=64))
        traces = None if share is None else RowTraces(Dropped(), share, {})
        context = WorkerContext.over(
            store, queue, OpenBatches(store), settings, worker="bench", model="stub", stats=engine.stats(), kinds=kinds,
            identity={"engine": "stub", "model_revision": "stub"},
        )  # fmt: skip
        runner = Runner(replace(context, traces=traces), engine)
        thread = threading.Thread(target=runner.run)
        began = time.process_time()
        thread.start()
        while (
            engine.stats().waiting
            or engine.stats().running
            or context.metrics.samples(None, 0).counts.get(("nightpress_rows_total", ("completed",)), (0.0,))
            < (float(rows),)
        ):
            if not thread.is_alive():
                sys.exit("the worker has ended")
            time.sleep(0.05)
        if traces is not None:
            traces.close()
        spent = time.process_time() - began
        runner.stop(0.0)
        thread.join()
    return spent / rows


def main() -> None:
    """Run the pairs, and print a line for each share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    logs.configure("error")
    cpu_s_of_a_row(1.0, 200)  # imports, and the first pages of memory
    for share in (0.0, 0.01, 1.0):
        differences, plain = [], []
        for n in range(args.pairs):
            order = [None, share] if n % 2 == 0 else [share, None]
            spent = {one: cpu_s_of_a_row(one, args.rows) for one in order}
            plain.append(spent[None])
            differences.append(spent[share] - spent[None])
        base, more = statistics.median(plain) * 1e6, statistics.median(differences) * 1e6
        spread = " ".join(f"{one * 1e6:+.1f}" for one in sorted(differences))
        print(f"share {share:g}: {base:.0f} us of processor time a row, {more:+.1f} us with traces ({spread})")


if __name__ == "__main__":
    main()
