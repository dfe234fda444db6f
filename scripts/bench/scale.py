"""Measures how the rates, Redis' memory and latency, and the peak memory of each process change with the size of a batch.

    python scripts/bench/scale.py --rows 10000 100000 1000000 --results scale.jsonl --plot scale.png
    python scripts/bench/scale.py --rows 1000000 --phases publish
    python scripts/bench/scale.py --rows 100000 --s3

Each number of rows is run separately, and each phase runs in new processes. *intake* accepts rows of 2 KB. In the *night*, 1,000
light workers (`scale_parts/night.py`), a feeder and one whole worker drain the batch over a real Redis; rows take as long as with
the stub engine. *publish* publishes the outcomes, and then verifies them outside the measured time. If the store has no batch,
*publish* first makes one with 5,000 segments of equal size. Redis itself measures p50 and p99 of a claim, and the kernel measures
the peak memory of a process.

With --s3, only publishing is measured, on a private S3 server (moto): once from small segments as workers write them, and once
from compacted segments, which lie together in a few files.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.batches.batch import Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import verify
from jobs.batches.rounds import require_batch
from jobs.batches.segments.compaction import compact
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import configure
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.store.opening import open_store
from jobs.store.store import Store
from scripts.bench.scale_parts import batches, night
from scripts.bench.scale_parts.plot import draw
from scripts.bench.scale_parts.processes import Part, free_port, server

SAMPLED_S: Final = 0.25
FIGURES: Final = (
    ("intake_rows_s", "intake, rows/s", ",.0f"),
    ("intake_rows_cpu_s", "intake, rows/CPU s", ",.0f"),
    ("intake_mb", "intake, MB", ",.0f"),
    ("feed_rows_s", "feeding, rows/s", ",.0f"),
    ("feed_rows_cpu_s", "feeding, rows/CPU s", ",.0f"),
    ("feeder_mb", "feeder, MB", ",.0f"),
    ("night_rows_s", "night, rows/s", ",.0f"),
    ("claim_p50_ms", "claim p50, ms", ".2f"),
    ("claim_p99_ms", "claim p99, ms", ".2f"),
    ("redis_mb", "Redis, first half, MB", ",.0f"),
    ("redis_late_mb", "Redis, second half, MB", ",.0f"),
    ("redis_end_mb", "Redis, at the end, MB", ",.0f"),
    ("worker_mb", "a whole worker, MB", ",.0f"),
    ("light_mb", "all light workers, MB", ",.0f"),
    ("segments", "segments", ",.0f"),
    ("publish_rows_s", "publishing, rows/s", ",.0f"),
    ("publish_rows_cpu_s", "publishing, rows/CPU s", ",.0f"),
    ("publisher_mb", "publisher, MB", ",.0f"),
)
"""Each figure of a batch: its key in the results, its name in the table, and the format of its value. All MB are peaks, except
Redis' MB at the end.
"""


def published(store: Store) -> None:
    """Publish the batch as a sweeper does, and print the seconds that it took."""
    began = time.monotonic()
    if not isinstance(publish(store, batches.only_batch(store), prices=Prices()), Done):
        sys.exit("the batch is not complete")
    print(time.monotonic() - began)


def compacted(store: Store) -> None:
    """Compact the batch's segments as a sweeper does, and print the seconds that it took.

    The heads of all segments are read before the clock starts, since a sweeper has read them before it compacts.
    """
    index = OutcomeIndex(store, require_batch(store, batches.only_batch(store)))
    index.refresh()
    began = time.monotonic()
    compact(store, index)
    print(time.monotonic() - began)


def run_part(part: str, args: argparse.Namespace) -> None:
    """Run the part of the benchmark with this name in this process."""
    configure("warning", "json")
    options = json.loads(args.store_options)
    store, settings = open_store(args.store, options), None
    if args.redis:
        settings = night.settings_of(args.store, args.redis, args.window)
        {
            "light": lambda: night.light(settings, args.workers, args.row_bytes, "w"),
            "feeder": lambda: night.feed(settings),
            "worker": lambda: night.whole(settings),
        }[part]()
        return
    rows = args.rows[0]
    {
        "intake": lambda: batches.intake(store, rows, args.row_bytes),
        "accept": lambda: batches.accept_by_hand(store, rows),
        "segments": lambda: batches.write_segments(store, rows, args.segments, args.row_bytes),
        "publish": lambda: published(store),
        "compact": lambda: compacted(store),
    }[part]()


def whole_night(rows: int, args: argparse.Namespace, store: str) -> Mapping[str, float]:
    """Run the night until the batch is drained. Returns the night's figures, by their keys in FIGURES."""
    binary = shutil.which("redis-server") or sys.exit("the night needs a redis-server")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with server(command, port):
        url = f"redis://127.0.0.1:{port}/0"
        client: Any = redis.Redis.from_url(url)
        feeder = Part("feeder", rows, args, store, redis=url)
        while client.dbsize() == 0 or _left(url, store)[1] < min(rows, args.window) * 0.9:
            time.sleep(SAMPLED_S)
        began = time.monotonic()
        parts = [Part(name, rows, args, store, redis=url) for name in ("light", "worker")]
        samples = []
        while _left(url, store)[0]:
            samples.append(client.info("memory")["used_memory"] / 1e6)
            if not all(part.alive for part in parts):
                sys.exit("a part of the night ended early")
            time.sleep(SAMPLED_S)
        took = time.monotonic() - began
        left_mb = client.info("memory")["used_memory"] / 1e6
        latency = client.info("latencystats")["latency_percentiles_usec_eval"]
        for part in (feeder, *parts):
            part.terminate()
        _, feeder_mb, printed = feeder.wait()
        peaks = [part.wait()[1] for part in parts]
    fed, busy_s, busy_cpu_s = map(float, printed.splitlines()[-1].split())
    return {
        "feed_rows_s": fed / busy_s,
        "feed_rows_cpu_s": fed / busy_cpu_s,
        "feeder_mb": feeder_mb,
        "night_rows_s": rows / took,
        "claim_p50_ms": float(latency["p50"]) / 1000,
        "claim_p99_ms": float(latency["p99"]) / 1000,
        "redis_mb": max(samples[: len(samples) // 2 + 1]),
        "redis_late_mb": max(samples[len(samples) // 2 :]),
        "redis_end_mb": left_mb,
        "light_mb": peaks[0],
        "worker_mb": peaks[1],
    }


def _left(url: str, store: str) -> tuple[bool, int]:
    """Return two values: whether rows of the batch are not settled yet, and the number of rows that wait on the lane."""
    queue = RedisQueue.from_url(url, store=open_store(store))
    snapshot = queue.snapshot(batches.LANE)
    queue.close()
    schedules = list(snapshot.batches.values())
    return not schedules or any(not one.at_end or one.live for one in schedules), snapshot.ready


def measured(rows: int, args: argparse.Namespace, store: str) -> Mapping[str, Any]:
    """Run the chosen phases for a batch of `rows` rows. Returns the phases' figures, and the options that produced them."""
    found: dict[str, Any] = {"rows": rows, "row_bytes": args.row_bytes, "window": args.window, "workers": args.workers}
    if "intake" in args.phases:
        part = Part("intake", rows, args, store)
        took, peak, _ = part.wait()
        found |= {"intake_rows_s": rows / took, "intake_rows_cpu_s": rows / part.cpu_s, "intake_mb": peak}
    if "night" in args.phases:
        found |= whole_night(rows, args, store)
    if "publish" in args.phases:
        opened = open_store(store)
        if not opened.list("batches"):
            Part("accept", rows, args, store).wait()
            Part("segments", rows, args, store).wait()
        batch_id = batches.only_batch(opened)
        found["segments"] = len(opened.list(f"batches/{batch_id}/segments"))
        publisher = Part("publish", rows, args, store)
        took, peak, _ = publisher.wait()
        found |= {"publish_rows_s": rows / took, "publish_rows_cpu_s": rows / publisher.cpu_s, "publisher_mb": peak}
        if faults := verify(opened, batch_id):
            sys.exit("; ".join(faults))
    return found


def from_s3(rows: int, args: argparse.Namespace) -> None:
    """Publish twice on an S3 server: from segments as workers write them, and from compacted segments. Print the rates."""
    import fsspec

    port = free_port()
    with server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        options = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "test", "secret": "test"}
        fsspec.filesystem("s3", **options).mkdir("bench")
        print(f"{rows:,} rows of {args.row_bytes:,} bytes in {args.segments:,} segments, from S3\n")
        for name, parts in {"as written": ("publish",), "compacted": ("compact", "publish")}.items():
            url = f"s3://bench/{name.replace(' ', '-')}"
            for part in ("accept", "segments", *parts):
                took, peak, printed = Part(part, rows, args, url, store_options=json.dumps(options)).wait()
                took = float(printed.splitlines()[-1]) if part in ("publish", "compact") else took
                print(f"{name:12}{part:10}{took:8.1f} s{rows / took:12,.0f} rows/s{peak:8,.0f} MB", flush=True)


def merged(lines: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return one line of figures for each number of rows and size of a row.

    The figures of a line may come from several runs. If a figure was measured twice, the later value is kept.
    """
    known: dict[tuple[int, int], dict[str, Any]] = {}
    for line in lines:
        known.setdefault((line["rows"], line["row_bytes"]), {}).update(line)
    return [line for _, line in sorted(known.items())]


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the table, with a line for each figure and a column for each of `lines`."""
    header = {"rows": "rows", "row_bytes": "bytes a row"}
    text = [f"{called:24}" + "".join(f"{line[name]:>13,}" for line in lines) for name, called in header.items()]
    for name, called, form in FIGURES:
        cells = (format(line[name], form) if name in line else "-" for line in lines)
        text.append(f"{called:24}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(text)


def main() -> None:
    """Run every phase in turn, and print the table. With --part, which the script gives to its own processes, run that part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--segments", type=int, default=5_000, help="segments that are written without a night")
    parser.add_argument("--row-bytes", type=int, default=2_048)
    parser.add_argument("--window", type=int, default=100_000, help="rows that are on the lane at once")
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument(
        "--phases", nargs="+", choices=("intake", "night", "publish"), default=("intake", "night", "publish")
    )
    parser.add_argument("--folder", type=Path, help="where stores are made; they are removed afterwards")
    parser.add_argument(
        "--keep", action="store_true", help="use --folder itself as the store, and keep it for a later phase"
    )
    parser.add_argument("--results", type=Path, help="a file of JSON lines to which results are added")
    parser.add_argument("--plot", type=Path, help="a file for a plot of all results in --results")
    parser.add_argument("--s3", action="store_true", help="publish from an S3 server")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--store-options", default="{}", help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run_part(args.part, args)
        return
    lines = []
    for rows in args.rows:
        if args.s3:
            from_s3(rows, args)
            continue
        with tempfile.TemporaryDirectory(prefix="nightpress-", dir=args.folder) as folder:
            lines.append(measured(rows, args, str(args.folder) if args.keep else folder))
        if args.results:
            with args.results.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    if args.results and args.results.exists():
        lines = [json.loads(line) for line in args.results.read_text().splitlines()]
    if lines:
        print(table(merged(lines)))
    if args.plot:
        draw(merged(lines), {name: called.rpartition(",")[0] for name, called, _ in FIGURES}, args.plot)


if __name__ == "__main__":
    main()
