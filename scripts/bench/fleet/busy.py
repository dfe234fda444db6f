"""Measures how long claims take while many workers are busy on one lane.

    python scripts/bench/fleet/busy.py [--workers 1000] [--slots 32] [--row-s 30] [--seconds 60] [--processes 4]

The workers are light: each claims, beats and settles as often as a worker whose engine has `--slots` slots, each of which
finishes a row in `--row-s` seconds. Such a worker holds twice as many rows as slots, claims for a quarter of its slots at a time,
and beats each `BEAT_S` seconds with all leases that it holds. Each process drives its part of the workers one after another. A
further process keeps the lane and feeds it from `--batches` open batches of `--tenants` tenants. Once all workers hold their
rows, the script measures for `--seconds` seconds:

- the server's own time for each script, as its slow log has them: what a claim costs, whoever waits for it. Calls under 50
  microseconds are left out;
- the seconds from the call of a claim to its answer, which also hold the wait for other scripts and for a processor of this
  machine, on which all workers run too;
- the part of one core that the server used, and claims and rows a second.
"""

import argparse
import hashlib
import heapq
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

import redis

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.lanes.job import ClaimId, Lease
from jobs.lanes.protocol import Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import sources
from jobs.logs import configure
from jobs.settings import Settings
from jobs.store.opening import open_store
from scripts.bench.fleet.idle import cpu_s
from scripts.bench.fleet.many import accept, feed, settings_of
from scripts.bench.queue_peers.server import server
from scripts.bench.scale_parts.batches import LANE
from workers.worker.claimer import AHEAD
from workers.worker.heartbeat import BEAT_S

LEASE_MS: Final = 60_000
LOGGED: Final = 400_000
"""The slow log keeps this many commands: more than a measurement has."""
SLOWER_US: Final = 50
"""Calls that take less are not in the log, which would also have each command inside a script, and hold up the server."""
LOG_S: Final = 120.0
"""Seconds within which the server must send its slow log."""
FILL_S: Final = 300.0
"""Seconds within which all workers must hold their rows."""
PERCENTS: Final = (50.0, 99.0, 99.9)
SHAS: Final = {hashlib.sha1(text.encode()).hexdigest(): name for name, text in sources().items()}  # noqa: S324 - Redis's name


class LightWorker:
    """Does what a busy worker asks of the queue. Each row that it holds is finished after as long as its engine would take."""

    def __init__(self, queue: RedisQueue, name: str, slots: int) -> None:
        self._queue = queue
        self._name = name
        self._slots = slots
        self._claims = 0
        self._held: deque[Lease] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the worker holds as many rows as it may."""
        return self._room * 4 < self._slots

    @property
    def _room(self) -> int:
        return int(self._slots * (1 + AHEAD)) - len(self._held)

    def turn(self) -> tuple[float, int]:
        """Settle the rows that were finished since the last turn, and claim as many. Returns the seconds of the claim, and rows.

        A worker that is not full yet finishes none.
        """
        if self.is_full:
            done = [self._held.popleft() for _ in range(max(self._slots // 4, 1))]
            self._queue.settle(LANE, [Settlement(lease) for lease in done])
        claim_id, room = str(ClaimId(self._name, "1", self._claims)), self._room
        began = time.perf_counter()
        jobs = self._queue.claim(LANE, claim_id, room, LEASE_MS, self._record()).jobs
        took = time.perf_counter() - began
        self._claims += 1
        self._held.extend(job.lease for job in jobs)
        return took, len(jobs)

    def beat(self) -> None:
        """Renew the leases of all rows in hand."""
        self._queue.beat(LANE, list(self._held), LEASE_MS, self._record())

    def _record(self) -> WorkerRecord:
        return WorkerRecord(self._name, 1, "bench", LANE, len(self._held), slots=self._slots)


def run_part(settings: Settings, args: argparse.Namespace) -> None:
    """Drive the workers of one process, whose names begin with `--part`.

    A line on standard output says when all hold their rows. Then a line on standard input begins the measurement, and its
    figures are a line of JSON. A turn that is late is done at once, so the workers are no less busy than they should be.
    """
    configure("error", "json")
    queue, chance = RedisQueue.from_settings(settings, open_store(settings.store_url)), random.Random(args.part)
    crew = [LightWorker(queue, f"{args.part}-{n}", args.slots) for n in range(args.workers)]
    turns = Turns(crew, args.row_s / 4, chance)
    while not all(worker.is_full for worker in crew):
        turns.next()
    print("full", flush=True)
    sys.stdin.readline()
    turns.begin_again()
    claims, until = [], time.monotonic() + args.seconds
    while time.monotonic() < until:
        if (claim := turns.next()) is not None:
            claims.append(claim)
    print(json.dumps({"claims": claims, "late_s": turns.latest_s}), flush=True)


class Turns:
    """The turns and beats of light workers, each at its time."""

    def __init__(self, crew: Sequence[LightWorker], every_s: float, chance: random.Random) -> None:
        self._crew = crew
        self._chance = chance
        self._every_s = {"turn": every_s, "beat": BEAT_S}
        self.begin_again()

    def begin_again(self) -> None:
        """Put all turns and beats at random moments from now on."""
        now = time.monotonic()
        self._due = [
            (now + self._chance.random() * every_s, n, what)
            for what, every_s in self._every_s.items()
            for n in range(len(self._crew))
        ]
        heapq.heapify(self._due)
        self.latest_s = 0.0

    def next(self) -> tuple[float, int] | None:
        """Wait for the next turn or beat, and do it. Returns the seconds and the rows of a claim; None after a beat."""
        at, n, what = self._due[0]
        time.sleep(max(at - time.monotonic(), 0.0))
        self.latest_s = max(self.latest_s, time.monotonic() - at)
        heapq.heapreplace(self._due, (at + self._every_s[what], n, what))
        if what == "turn":
            return self._crew[n].turn()
        self._crew[n].beat()
        return None


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Accept the batches, let all workers take their rows, and measure. Returns all figures."""
    with tempfile.TemporaryDirectory(prefix="nightpress-", ignore_cleanup_errors=True) as folder:
        store_url = str(Path(folder) / "store")
        store = open_store(store_url)
        rows_s = args.workers * args.slots / args.row_s
        rows = int(2 * args.workers * args.slots + 2 * rows_s * (args.seconds + FILL_S))
        for n in range(args.batches):
            accept(store, f"b{n:04}", f"tenant-{n % args.tenants}", -(-rows // args.batches))
        with server(Path(folder) / "redis") as url, redis.Redis.from_url(url, socket_timeout=LOG_S) as client:
            RedisQueue.from_url(url, store=store).make_id()
            parts = started(args, store_url, url)
            try:
                return measured_on(client, parts, args.seconds)
            finally:
                for part in parts:
                    part.kill()
                    part.wait()


def started(args: argparse.Namespace, store: str, url: str) -> list[subprocess.Popen[str]]:
    """Start the feeder, and the processes of the workers."""
    each = -(-args.workers // args.processes)
    parts = ["--feed", *(f"--part=p{n}" for n in range(args.processes))]
    options = [
        f"--store={store}",
        f"--redis={url}",
        f"--workers={each}",
        f"--slots={args.slots}",
        f"--row-s={args.row_s}",
    ]
    command = [sys.executable, __file__, *options, f"--seconds={args.seconds}"]
    return [
        subprocess.Popen([*command, part], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for part in parts
    ]


def measured_on(client: redis.Redis, parts: Sequence[subprocess.Popen[str]], seconds: float) -> dict[str, Any]:
    """Measure once all parts but the first, which feeds, say that their workers are full."""
    for part in parts[1:]:
        if not cast("IO[str]", part.stdout).readline():
            sys.exit("a part of the workers ended early")
    client.config_set("slowlog-max-len", LOGGED)
    client.config_set("slowlog-log-slower-than", SLOWER_US)
    cpu, began = cpu_s(client), time.monotonic()
    for part in parts[1:]:
        stdin = cast("IO[str]", part.stdin)
        stdin.write("begin\n")
        stdin.flush()
    answers = [json.loads(cast("IO[str]", part.stdout).readline()) for part in parts[1:]]
    used, took = cpu_s(client) - cpu, time.monotonic() - began
    client.config_set("slowlog-log-slower-than", -1)
    claims = [claim for one in answers for claim in one["claims"]]
    return {
        "redis_core": used / took,
        "claims_s": len(claims) / seconds,
        "rows_s": sum(rows for _, rows in claims) / seconds,
        "late_s": max(one["late_s"] for one in answers),
        "answer_ms": [1000 * taken for taken, _ in claims],
        "server_ms": script_times(client),
    }


def script_times(client: redis.Redis) -> dict[str, list[float]]:
    """Return the milliseconds that each call of each script took on the server, by the script's name."""
    found: dict[str, list[float]] = defaultdict(list)
    logged: list[Any] = client.execute_command("SLOWLOG", "GET", LOGGED)  # type: ignore[no-untyped-call]
    for _, _, duration_us, (word, *words), *_ in logged:
        if word.upper() == b"EVALSHA" and (name := SHAS.get(words[0].decode())):
            found[name].append(duration_us / 1000)
    return found


def lines(found: dict[str, Any]) -> Sequence[str]:
    """Return the figures as lines of text."""
    text = [
        f"{found['claims_s']:,.0f} claims/s, {found['rows_s']:,.0f} rows/s, Redis {found['redis_core']:.1%} of a core"
    ]
    text.append(
        f"{'ms':20}{'calls':>10}"
        + "".join(f"{'p' + format(percent, 'g'):>10}" for percent in PERCENTS)
        + f"{'most':>10}"
    )
    rows = {f"server: {name}": times for name, times in sorted(found["server_ms"].items())}
    for name, times in {**rows, "answer to a claim": found["answer_ms"]}.items():
        ordered = sorted(times)
        shown = [ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] for percent in PERCENTS]
        text.append(f"{name:20}{len(times):10,}" + "".join(f"{value:10,.2f}" for value in (*shown, ordered[-1])))
    text.append(f"a turn was late by {found['late_s']:.2f} s at most")
    return text


def main() -> None:
    """Run the benchmark, and print the figures. With --part or --feed, which the script gives to its processes, run that."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--slots", type=int, default=32, help="rows that the engine of a worker runs at once")
    parser.add_argument("--row-s", type=float, default=30.0, help="seconds that a row takes in a slot")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of the measurement")
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.feed:
        feed(settings_of(args.store, args.redis))
    elif args.part:
        run_part(settings_of(args.store, args.redis), args)
    else:
        found = measured(args)
        print("\n".join(lines(found)))
        if args.json:
            args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
