"""Measures what idle workers cost Redis and storage, and how soon they begin once rows are enqueued.

    python scripts/bench/fleet/idle.py [--workers 1000] [--seconds 20] [--settle 30] [--processes 4]

The workers have the claimer and the heartbeat of a real worker, each with threads and connections of its own, and no engine.
They share a real Redis server, and a store that counts its requests. First nothing is enqueued: the script waits `--settle`
seconds, and then measures for `--seconds` seconds. Then a batch of one row is enqueued, and at last a batch with twice `--slots`
rows for each worker, which is what a worker claims. The rows are claimed and never finished. The printed figures are:

- Redis: the part of one core that the server used (`used_cpu_sys` and `used_cpu_user` of INFO), its commands a second, calls a
  second and microseconds a call of each command, and the number of its clients;
- storage: requests a second of all workers together, by their kind;
- the seconds from the call of `enqueue` until the first row was claimed, with the part of them that the call itself took;
- the seconds until 50 %, 90 % and 99 % of the workers had their first row of the second batch.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Final, cast

import redis

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.batches.open_batches import OpenBatches
from jobs.client import Client
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import ClaimReply
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import configure
from jobs.settings import Settings
from jobs.store.local import LocalStore
from scripts.bench.queue_peers.server import server
from workers.engines.protocol import EngineStats
from workers.worker.claimer import Claimer
from workers.worker.context import WorkerContext
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse

LANE: Final = "stub"
COUNTED: Final = frozenset({"list", "read", "read_range", "reader", "exists", "size", "create", "delete"})
START_S: Final = 180.0
"""Seconds within which all workers must have claimed once."""


class CountingStore(LocalStore):
    """A store that counts its requests by their kind. All workers of a process share the counts."""

    counts: ClassVar[Counter[str]] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if name in COUNTED:
            CountingStore.counts[name] += 1
        return super().__getattribute__(name)


class NotingQueue(RedisQueue):
    """A queue that notes when its worker first got rows, in seconds of the monotonic clock, which all processes share."""

    got_rows_at: float | None = None

    def claim(self, *args: Any, **kwargs: Any) -> ClaimReply:
        """Claim, and note the time of the first claim with rows since `got_rows_at` was None."""
        reply = super().claim(*args, **kwargs)
        if reply.jobs and self.got_rows_at is None:
            self.got_rows_at = time.monotonic()
        return reply


def settings_of(store: str, url: str) -> Settings:
    """Return the default settings with this storage and this Redis."""
    return Settings.model_validate({"store_url": store, "redis_url": url, "model": LANE})


def run_part(name: str, workers: int, slots: int, store_url: str, url: str) -> None:
    """Run the workers of one process. Each line of standard input is answered by a line of JSON.

    The line `reset` begins a new measurement; `report` ends it. Ends with the standard input.
    """
    configure("error", "json")
    settings, kinds, queues = settings_of(store_url, url), load_kinds(), []
    threading.stack_size(256 << 10)
    with contextlib.ExitStack() as stack:
        for n in range(workers):
            store = CountingStore(store_url)
            queue = NotingQueue.from_settings(settings, store)
            queues.append(queue)
            context = WorkerContext.over(
                store, queue, OpenBatches(store, None, settings.batch_scan_s), settings, worker=f"{name}-{n}", node=name,
                model=LANE, stats=EngineStats("cpu", slots, 0, 0, 0, 0, 0, 0, 0, 0), kinds=kinds, identity={"engine": "stub"},
            )  # fmt: skip
            heartbeat = Heartbeat(context)
            stack.enter_context(heartbeat)
            stack.enter_context(Claimer(context, Flusher(context, heartbeat), Pulse()))
        for line in sys.stdin:
            if line.strip() == "reset":
                CountingStore.counts.clear()
                for queue in queues:
                    queue.got_rows_at = None
            began = [queue.got_rows_at for queue in queues if queue.got_rows_at is not None]
            print(json.dumps({"counts": dict(CountingStore.counts), "began": began}), flush=True)
    sys.stdout.close()


class Parts:
    """The processes of the benchmark, each with some of the workers."""

    def __init__(self, args: argparse.Namespace, store: str, url: str) -> None:
        each = -(-args.workers // args.processes)
        self._parts = []
        for n in range(args.processes):
            part = [f"--part=p{n}", f"--workers={min(each, args.workers - n * each)}", f"--slots={args.slots}"]
            command = [sys.executable, __file__, *part, f"--store={store}", f"--redis={url}"]
            self._parts.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def tell(self, word: str) -> tuple[Counter[str], list[float]]:
        """Send a word to all parts. Returns the sum of their counts, and the times when their workers first got rows."""
        for part in self._parts:
            stdin = cast("IO[str]", part.stdin)
            stdin.write(f"{word}\n")
            stdin.flush()
        counts: Counter[str] = Counter()
        began: list[float] = []
        for part in self._parts:
            answer = json.loads(cast("IO[str]", part.stdout).readline())
            counts += Counter(answer["counts"])
            began += answer["began"]
        return counts, sorted(began)

    def end(self) -> None:
        """Kill the processes."""
        for part in self._parts:
            part.kill()
            part.wait()


def cpu_s(client: redis.Redis) -> float:
    """Return the seconds of processor time that the server has used."""
    found: dict[str, Any] = client.info("cpu")
    return float(found["used_cpu_sys"]) + float(found["used_cpu_user"])


def idle(client: redis.Redis, parts: Parts, seconds: float) -> dict[str, Any]:
    """Measure the idle workers for some seconds."""
    parts.tell("reset")
    client.config_resetstat()
    cpu, began = cpu_s(client), time.monotonic()
    time.sleep(seconds)
    took, used = time.monotonic() - began, cpu_s(client) - cpu
    stats: dict[str, Any] = client.info("commandstats")
    counts, _ = parts.tell("report")
    calls = {name.removeprefix("cmdstat_"): one for name, one in stats.items()}
    return {
        "redis_core": used / took,
        "clients": client.info("clients")["connected_clients"],
        "commands_s": {name: one["calls"] / took for name, one in calls.items()},
        "command_us": {name: one["usec_per_call"] for name, one in calls.items()},
        "storage_s": {name: n / took for name, n in sorted(counts.items())},
    }


def began_s(parts: Parts, args: argparse.Namespace, store: str, url: str, rows: int, share: int) -> dict[str, float]:
    """Enqueue a batch, and return the seconds until the first claim, and until parts of `share` workers had rows."""
    parts.tell("reset")
    with Client(settings_of(store, url)) as client:
        called = time.monotonic()
        client.enqueue([{"kind": "chat", "prompt": f"Say {n}."} for n in range(rows)], run_key=f"{rows}-{called}")
        returned = time.monotonic()
    while len(parts.tell("report")[1]) < share and time.monotonic() - called < args.wait:
        time.sleep(0.1)
    _, began = parts.tell("report")
    found = {"enqueue_s": returned - called, "workers": len(began)}
    if began:
        found["first_s"] = began[0] - called
    for percent in (50, 90, 99):
        if share > 1 and len(began) >= percent * share / 100:
            found[f"p{percent}_s"] = began[max(percent * share // 100 - 1, 0)] - called
    return found


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Start the server and the workers, and measure. Returns all figures."""
    with tempfile.TemporaryDirectory(prefix="nightpress-", ignore_cleanup_errors=True) as folder:
        store = str(Path(folder) / "store")
        with server(Path(folder) / "redis") as url, redis.Redis.from_url(url) as client:
            parts = Parts(args, store, url)
            try:
                parts.tell("report")
                wait_for_all(client, args.workers)
                time.sleep(args.settle)
                found = {"workers": args.workers, "idle": idle(client, parts, args.seconds)}
                found["one_row"] = began_s(parts, args, store, url, 1, 1)
                time.sleep(args.settle)
                found["all_rows"] = began_s(parts, args, store, url, 2 * args.workers * args.slots, args.workers)
                return found
            finally:
                parts.end()


def wait_for_all(client: redis.Redis, workers: int) -> None:
    """Wait until all workers are known to the lane. Ends the benchmark if that takes too long."""
    until = time.monotonic() + START_S
    while sum(int(client.hlen(key)) for key in client.scan_iter(f"np:*/{LANE}}}:workers")) < workers:
        if time.monotonic() > until:
            sys.exit(f"not all workers have claimed after {START_S:.0f} s")
        time.sleep(0.5)


def lines(found: dict[str, Any]) -> Sequence[str]:
    """Return the figures as lines of text."""
    still = found["idle"]
    text = [f"{found['workers']:,} idle workers"]
    text.append(f"Redis: {still['redis_core']:.1%} of a core, {still['clients']:,} clients")
    for name, rate in sorted(still["commands_s"].items(), key=lambda item: -item[1]):
        text.append(f"  {name:16}{rate:10,.1f}/s{still['command_us'][name]:10,.1f} us")
    text.append(f"storage: {sum(still['storage_s'].values()):,.1f} requests/s")
    text += [f"  {name:16}{rate:10,.1f}/s" for name, rate in still["storage_s"].items()]
    for name in ("one_row", "all_rows"):
        text.append(f"{name}: " + ", ".join(f"{what} {value:,.2f}" for what, value in found[name].items()))
    return text


def main() -> None:
    """Run the benchmark, and print the figures. With --part, which the script gives to its own processes, run that part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--slots", type=int, default=4, help="rows that the engine of a worker would run at once")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before each measurement")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of the measurement of idle workers")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds after which rows count as never claimed")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run_part(args.part, args.workers, args.slots, args.store, args.redis)
        return
    found = measured(args)
    print("\n".join(lines(found)))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
