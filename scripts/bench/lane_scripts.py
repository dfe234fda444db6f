"""Measures what each call of the queue costs the server, with few and with many tenants, batches and workers on the lane.

    python scripts/bench/lane_scripts.py [--many 1 1000 10000] [--turns 3] [--most 3.0]

The figures are microseconds of the server's own processor time for one call, as its `commandstats` count them; medians over the
turns. A claim and a beat have 16 jobs, a settle and a release have 8, and a feed has 64 rows. The lane already holds one batch
of one tenant, or as many tenants, batches or workers as the column says, with 4 rows each.

A call must not cost more than `--most` times as much with many as with one: otherwise the script exits with status 1. A claim of
16 jobs of one tenant needs one turn, and a claim of 16 jobs of many tenants needs 16, so it costs more; but 10,000 tenants
cost no more than 1,000. A snapshot of the whole lane has one entry for each batch and worker, so its cost has no limit.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import redis
from rich.console import Console
from rich.table import Table

from jobs.errors import UnavailableError
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from workers.fleet import embedded_redis

LANE: Final = "bench"
LEASE_MS: Final = 60_000
JOBS: Final = 16
FED: Final = 64
ROWS_EACH: Final = 4
CALLS: Final = 20
NO_LIMIT: Final = ("snapshot of all",)


class Bench:
    """A queue on a server, and the server's own count of the time that its commands took."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._queue = RedisQueue(client)
        self._claims = 0
        self._found: dict[str, list[float]] = defaultdict(list)

    def measure(self, what: str, many: int) -> dict[str, float]:
        """Fill the lane with `many` tenants, batches or workers, and return the cost of each call in microseconds."""
        self._client.flushall()
        self._found.clear()
        rows = [FeedRow(n, b"{}", 10 + n, 4, "t0") for n in range((CALLS + 1) * JOBS)]
        self._queue.feed(LANE, "main", 1, 0, 1, False, rows)
        for n in range(many if what != "workers" else 1):
            some = [FeedRow(row, b"{}", 10, 4, f"t{n}" if what == "tenants" else "t0") for row in range(ROWS_EACH)]
            self._queue.feed(LANE, "b0" if what == "tenants" else f"b{n}", 1, n if what == "tenants" else 0, n + 1, False, [
                FeedRow(row.row + ROWS_EACH * n, row.payload, row.cost, row.priority, row.tenant) for row in some
            ])  # fmt: skip
        workers = [WorkerRecord(f"w-{n}", 1, "node", LANE, 1) for n in range(many if what == "workers" else 1)]
        for worker in workers:
            self._queue.beat(LANE, [], LEASE_MS, worker)
        self._turn(workers[0], -1)
        self._found.clear()
        for n in range(CALLS):
            self._turn(workers[0], n)
        return {name: statistics.median(found) for name, found in self._found.items()}

    def _turn(self, me: WorkerRecord, n: int) -> None:
        self._claims += 1
        jobs: list[Any] = []

        def claim() -> None:
            jobs.extend(self._queue.claim(LANE, f"w-1-{self._claims}", JOBS, LEASE_MS, me).jobs)

        self._timed(f"claim of {JOBS}", claim)
        leases = [job.lease for job in jobs]
        self._timed(f"beat of {JOBS}", lambda: self._queue.beat(LANE, leases, LEASE_MS, me))
        half = len(leases) // 2
        self._timed(
            f"settle of {JOBS // 2}", lambda: self._queue.settle(LANE, [Settlement(one) for one in leases[half:]])
        )
        self._timed(f"release of {JOBS // 2}", lambda: self._queue.release(LANE, leases[:half]))
        rows = [FeedRow(10**6 + FED * (n + 1) + k, b"{}", 10, 4, "t0") for k in range(FED)]
        self._timed(f"feed of {FED}", lambda: self._queue.feed(LANE, "main", 1, n + 2, n + 3, False, rows))
        self._timed("snapshot of one batch", lambda: self._queue.snapshot(LANE, "main"))
        self._timed("snapshot of all", lambda: self._queue.snapshot(LANE))

    def _timed(self, name: str, call: Callable[[], object]) -> None:
        self._client.config_resetstat()
        call()
        stats: dict[str, Any] = self._client.info("commandstats")
        self._found[name].append(stats["cmdstat_evalsha"]["usec"])


def table(many: Sequence[int], found: dict[str, dict[str, dict[int, float]]]) -> Table:
    """Return a table of the figures: a line for each call, and columns for many tenants, batches or workers."""
    shown = Table(title="processor time of the server for one call, in microseconds", width=80)
    shown.add_column("call")
    shown.add_column("many")
    for n in many:
        shown.add_column(f"{n:,}", justify="right")
    for name, by_what in found.items():
        for what, figures in by_what.items():
            shown.add_row(name, what, *(f"{figures[n]:,.0f}" for n in many))
    return shown


def main() -> int:
    """Run the benchmark, and print the table. Returns 1 if a call costs too much more with many than with one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--many", type=int, nargs="+", default=[1, 1000, 10_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--most", type=float, default=3.0)
    args = parser.parse_args()
    figures: dict[str, dict[str, dict[int, list[float]]]] = {}
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            embedded_redis.server(Path(folder)) as url,
            redis.Redis.from_url(url) as client,
        ):
            bench = Bench(client)
            for _ in range(args.turns):
                for what in ("tenants", "batches", "workers"):
                    for many in args.many:
                        for name, us in bench.measure(what, many).items():
                            by_what = figures.setdefault(name, {}).setdefault(what, defaultdict(list))
                            by_what[many].append(us)
    except UnavailableError as error:
        print(f"lane_scripts: {error}", file=sys.stderr)
        return error.exit_status
    found = {
        name: {what: {n: statistics.median(us) for n, us in by_n.items()} for what, by_n in by_what.items()}
        for name, by_what in figures.items()
    }
    Console(width=80).print(table(args.many, found))
    too_much = [
        f"{name} with many {what}"
        for name, by_what in found.items()
        for what, us in by_what.items()
        if name not in NO_LIMIT and max(us.values()) > args.most * us[min(us)]
    ]
    for name in too_much:
        print(f"not flat: {name}", file=sys.stderr)
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
