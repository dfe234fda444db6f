"""Checks that on a full Redis feeding is refused, all other calls of a lane work, and memory does not grow.

    python scripts/checks/full_redis.py [--minutes 10] [--rows 2000] [--server FOLDER]

The script feeds a lane, and sets maxmemory to half of the memory in use. Then workers claim jobs, beat, release jobs, retry jobs
and die with jobs in hand, until the time is over. The exit status is 1 if feeding was not refused, if a row is missing at the
end, or if memory grew by over 2 % in the second half of the time. Memory may grow in the first half: a job's record keeps a
limited number of the job's losses, and the lane keeps its lists of claims for as long as a lease lasts.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import redis

from jobs.errors import QueueUnavailable, UnavailableError
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from workers.fleet import embedded_redis

LANE = "full"
LONG_MS, SHORT_MS = 60_000, 20
HAND = 48
"""Jobs that are asked for in one claim."""
GROWN = 1.02
"""The check fails if the memory at the end is more than this many times the memory after half of the time."""
SAMPLES = 20
"""The number of lines that are printed, spread evenly over the time."""
PACE_S = 0.05
"""Seconds from the start of one worker's life to the start of the next.

The rate is even, so that the lists of claims, which are kept as long as a lease, stay equally long.
"""


@dataclass
class FullLane:
    """A lane on a full server, with counts of the workers' lives, and of the jobs that were released, retried and so on.

    jobs/README.md explains *suspect* and *burial*.
    """

    client: redis.Redis
    queue: RedisQueue
    rows: int
    lives: int = 0
    released: int = 0
    retried: int = 0
    rescued: int = 0
    suspects: int = 0
    buried: int = 0
    _batches: Iterator[int] = field(default_factory=count)

    def fill(self) -> None:
        """Feed all rows, then set the server's limit to half of the memory in use."""
        rows = [FeedRow(n, b"x" * 200, 1 + n % 50, 4, f"t{n % 3}") for n in range(self.rows)]
        for place in range(0, self.rows, 500):
            self.queue.feed(LANE, "b", 1, place, place + 500, False, rows[place : place + 500])
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", int(self.client.info("memory")["used_memory"]) // 2)

    def feeding_is_refused(self) -> bool:
        """Whether the server refuses a further row because its memory is full."""
        try:
            self.queue.feed(LANE, f"more-{next(self._batches)}", 1, 0, 1, True, [FeedRow(0, b"x", 1, 4, "t")])
        except QueueUnavailable as error:
            return "full" in str(error)
        return False

    def live(self) -> None:
        """Live the life of one worker: claim jobs, release some, retry some, and die with the rest. No job is ever finished."""
        self.lives += 1
        me = WorkerRecord(f"w-{self.lives % 8}", 1, "n", LANE, 0)
        for n, lease_ms in enumerate((LONG_MS, SHORT_MS)):
            jobs = self.queue.claim(LANE, f"{me.worker}-{self.lives}-{n}", HAND, lease_ms, me).jobs
            self.rescued += sum(job.rescued for job in jobs)
            self.suspects += sum(job.suspect for job in jobs)
            self.buried += sum(job.burial for job in jobs)
            leases = [job.lease for job in jobs]
            self.queue.beat(LANE, leases, lease_ms, me)
            if lease_ms == LONG_MS:
                half = len(leases) // 2
                self.queue.release(LANE, leases[:half])
                self.queue.settle(LANE, [Settlement(lease, "retry", 1) for lease in leases[half:]])
                self.released, self.retried = self.released + half, self.retried + len(leases) - half
        self.queue.resume(LANE)  # the lane may have paused itself because of these deaths; an operator would resume it

    def used(self) -> int:
        """Return the size of the server's data, in bytes of memory."""
        return int(self.client.info("memory")["used_memory_dataset"])


def loop(lane: FullLane, seconds: float) -> tuple[int, int]:
    """Let workers live and die for `seconds`. Returns two values: the bytes in use after half of the time, and at the end."""
    began, first, printed = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - began) < seconds:
        lane.live()
        time.sleep(max(0.0, began + lane.lives * PACE_S - time.monotonic()))
        if elapsed >= seconds * (printed + 1) / SAMPLES:
            printed += 1
            used = lane.used()
            first = first or (used if printed >= SAMPLES // 2 else 0)
            print(f"{elapsed:6.0f} s  {lane.lives:8,} lives  {used:12,} bytes", flush=True)
    return first, lane.used()


def main() -> int:
    """Fill the lane, let workers live and die, and check feeding, rows and memory. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--server", help="the folder of another redis-server or valkey-server, put before the path")
    args = parser.parse_args()
    if args.server:
        os.environ["PATH"] = f"{args.server}{os.pathsep}{os.environ['PATH']}"
    try:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,  # the ending server may write there
            embedded_redis.server(Path(folder)) as url,
            redis.Redis.from_url(url) as client,
        ):
            print(
                ", ".join(f"{name} {value}" for name, value in RedisQueue(client).ping().items() if "version" in name)
            )
            lane = FullLane(client, RedisQueue(client, max_attempts=5), args.rows)
            lane.fill()
            first, last = loop(lane, args.minutes * 60)
            refused, left = lane.feeding_is_refused(), lane.queue.snapshot(LANE)
    except UnavailableError as error:
        print(f"full_redis: {error}", file=sys.stderr)
        return error.exit_status
    counts = (
        f"{lane.released:,} released, {lane.retried:,} retried, {lane.rescued:,} rescued, {lane.suspects:,} as suspects"
    )
    print(
        f"{counts}, {lane.buried:,} burials; {left.ready + left.delayed + left.leased:,} of {args.rows:,} rows are there"
    )
    print(
        f"{first:,} bytes, then {last:,} ({last / first - 1:+.2%}); feeding {'was' if refused else 'was NOT'} refused"
    )
    whole = left.ready + left.delayed + left.leased == args.rows
    return 0 if refused and whole and last <= first * GROWN else 1


if __name__ == "__main__":
    sys.exit(main())
