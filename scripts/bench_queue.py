"""Our queue beside its peers on one Redis: how fast it drains and fills, what it takes, and what a killed worker costs.

    python scripts/bench_queue.py --with celery,rq,dramatiq [--turns 3] [--jobs 20000] [--kill] [--json FILE]

Each peer is installed into an environment of its own under the cache folder. All run in turn, each step in processes of
its own, on a server that was emptied before; shown are medians. Nightpress stands in three rows: `queue` is its protocol
alone, as with the peers: rows are put on the queue (`enq/s`, read from the input in storage), then claimed and settled;
`whole` feeds while it drains, as it is used, and its `enq/s` is intake: rows read, checked, hashed and stored; `worker`
is all of a worker around the stub of an engine, with every outcome durable in storage.

At batches of 1 a job is claimed and settled by itself. As a worker does, ours claims the next while one is at work, so two
are leased at most; of the peers, celery, dramatiq and taskiq fetch one ahead too, and the others cannot without running it.

`p99` is how long a job waited for an idle worker, in ms, when jobs come 150 a second. `cpu` is what a job took of the
server's time from its enqueueing to its end, in microseconds. `bytes` is Redis memory for a queued job less its payload.

With --kill, a worker is killed (SIGKILL) when half of the jobs have run, and another is started. `lost` are jobs with no
result when nothing happens any more; `twice` jobs with two results; `again` jobs that ran a second time; `s` the seconds
from the kill until every job had run. A peer's result is what the job wrote; ours is the published row. `kept` has each
peer's settings for late acknowledgement.
"""

import argparse
import contextlib
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from workers import embedded

PROGRAMS: Final = Path(__file__).with_name("queue_bench")
LANE: Final = "stub"
STEP_S: Final = 240.0
JOB_S: Final = "0.002"
RATE: Final = 150
PACED_JOBS: Final = 400
SMALL_BATCH_SHARE: Final = 4
"""At batches of 1, a quarter of the jobs: it takes longer."""

PACKAGES: Final = {
    "celery": ("celery[redis]", "hiredis"),
    "rq": ("rq", "hiredis"),
    "dramatiq": ("dramatiq[redis]", "hiredis"),
    "arq": ("arq",),
    "taskiq": ("taskiq", "taskiq-redis", "hiredis"),
    "saq": ("saq[redis]", "typing_extensions", "hiredis"),
    "huey": ("huey", "redis", "hiredis"),
}
NOTES: Final = {
    "celery": "solo pool, no results; kept: acks_late, worker_lost, visibility 5 s",
    "rq": "SimpleWorker (no fork), takes one job at a time; kept: Retry(3)",
    "dramatiq": "8 threads; kept: heartbeat_timeout 5 s, more maintenance",
    "arq": "poll_delay 1 ms, results off; kept: job_timeout 5 s",
    "taskiq": "list broker; kept: stream broker, idle_timeout 5 s",
    "saq": "results off; kept: retries 3, heartbeat 5 s, sweep each 1 s",
    "huey": "8 threads, results off; has no acknowledgement",
}


@dataclass
class Bench:
    """One server, one scratch folder, and what is asked of everyone."""

    url: str
    folder: Path
    cache: Path
    jobs: int
    size: int
    client: redis.Redis = field(init=False)

    def __post_init__(self) -> None:
        self.client = redis.Redis.from_url(self.url)

    def python(self, name: str) -> str:
        """The interpreter that has it."""
        return sys.executable if name == "nightpress" else str(self.cache / name / "bin" / "python")

    def install(self, name: str) -> None:
        """Make the peer's environment, unless it is there."""
        if not Path(self.python(name)).exists():
            print(f"installing {name}", file=sys.stderr)
            venv.create(self.cache / name, with_pip=True)
            pip = [self.python(name), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *PACKAGES[name]], check=True, timeout=STEP_S)

    def version(self, name: str) -> str:
        """The installed version."""
        package = name if name == "nightpress" else PACKAGES[name][0].partition("[")[0]
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.run(
            [self.python(name), "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    def empty(self) -> int:
        """Empty the server and the folder. Returns the bytes that remain used."""
        self.client.flushall()
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        return self.used()

    def cpu_us(self) -> float:
        """The processor time that the server has taken."""
        info = self.client.info("cpu")
        return (float(info["used_cpu_user"]) + float(info["used_cpu_sys"])) * 1e6

    def used(self) -> int:
        """Bytes that the server uses."""
        return int(self.client.info("memory")["used_memory"])

    @contextlib.contextmanager
    def started(self, name: str, step: str, **asked: object) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
        """A step of one system in processes of its own, killed at the end; and where it will put its result."""
        program = PROGRAMS / ("ours.py" if name == "nightpress" else f"{name}_peer.py")
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        given = {
            "URL": self.url,
            "JOBS": self.jobs,
            "BYTES": self.size,
            "FOLDER": self.folder,
            "RESULT": result,
            **asked,
        }
        env = {**os.environ, **{f"BENCH_{key}": str(value) for key, value in given.items()}}
        command = [self.python(name), str(program), step]
        with (
            (self.folder / "said").open("w+") as said,
            subprocess.Popen(command, env=env, stdout=said, stderr=said, text=True, start_new_session=True) as process,
        ):
            try:
                yield process, result
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def step(self, name: str, step: str, **asked: object) -> dict[str, Any]:
        """Run a step to its result."""
        until = time.monotonic() + STEP_S
        with self.started(name, step, **asked) as (process, result):
            while not (result.exists() and result.read_text()):
                if process.poll() not in (None, 0) or time.monotonic() > until:
                    sys.exit(f"{name} {step}: {(self.folder / 'said').read_text()[-2000:]}")
                time.sleep(0.02)
            found: dict[str, Any] = json.loads(result.read_text())
        return found


def p99_ms(bench: Bench, feed: tuple[str, str], work: tuple[str, str]) -> float:
    """How long all but one in a hundred jobs waited at most, when they come at a rate."""
    bench.empty()
    waits = bench.folder / "waits.json"
    waits.unlink(missing_ok=True)
    asked: dict[str, Any] = {"RATE": RATE, "JOBS": PACED_JOBS}
    with bench.started(*work, **asked, RESULT=waits) as (worker, _):
        bench.step(*feed, **asked)
        if not _wait(lambda: waits.exists() and waits.read_text(), STEP_S if worker.poll() is None else 0):
            sys.exit(f"{' '.join(work)}: {(bench.folder / 'said').read_text()[-2000:]}")
    return float(json.loads(waits.read_text())["p99_s"]) * 1000


def peer(bench: Bench, name: str) -> dict[str, float]:
    """All figures of one peer, once."""
    few = max(bench.jobs // SMALL_BATCH_SHARE, 1)
    before, found = bench.empty(), {}
    cpu = bench.cpu_us()
    found["enq/s"] = bench.jobs / bench.step(name, "enqueue")["seconds"]
    found["bytes"] = (bench.used() - before) / bench.jobs - bench.size
    found["64"] = bench.jobs / bench.step(name, "work", BATCH=64)["seconds"]
    found["cpu"] = (bench.cpu_us() - cpu) / bench.jobs
    bench.empty()
    bench.step(name, "enqueue", JOBS=few)
    found["1"] = few / bench.step(name, "work", BATCH=1, JOBS=few)["seconds"]
    found["p99"] = p99_ms(bench, (name, "enqueue"), (name, "work"))
    return found


def turn(bench: Bench, name: str) -> dict[str, float]:
    """All figures of one system, once. Ours has its three rows in one."""
    if name != "nightpress":
        return peer(bench, name)
    few = max(bench.jobs // SMALL_BATCH_SHARE, 1)
    before, found = bench.empty(), {}
    enqueued = bench.step(name, "enqueue")
    found["whole enq/s"] = bench.jobs / enqueued["seconds"]
    cpu = bench.cpu_us()
    found["enq/s"] = bench.jobs / bench.step(name, "feed", WINDOW=bench.jobs)["seconds"]
    found["bytes"] = (bench.used() - before) / bench.jobs - bench.size
    found["stored"] = enqueued["stored_bytes"] / bench.jobs - bench.size
    found["rounded"] = rounded(bench)
    found["64"] = bench.jobs / bench.step(name, "claims", BATCH=64)["seconds"]
    found["cpu"] = (bench.cpu_us() - cpu) / bench.jobs
    found["p99"] = p99_ms(bench, (name, "feed_paced"), (name, "claim_paced"))
    for key, step, n, jobs in (
        ("1", "claims", 1, few),
        ("whole 64", "drain", 64, bench.jobs),
        ("whole 1", "drain", 1, few),
        ("worker 64", "work", 64, bench.jobs),
    ):
        bench.empty()
        bench.step(name, "enqueue", JOBS=jobs)
        if step == "claims":
            bench.step(name, "feed", WINDOW=jobs)
        found[key] = jobs / bench.step(name, step, BATCH=n, JOBS=jobs)["seconds"]
    return found


def rounded(bench: Bench) -> float:
    """By how much the server's allocator rounds a request up, were it stored as a string alone."""
    key = f"np:1:{{{LANE}}}:payload"
    _, request = next(iter(bench.client.hscan_iter(key)))
    bench.client.set("probe", request)
    whole = bench.client.memory_usage("probe") or 0
    bench.client.set("probe", 1)
    taken = whole - (bench.client.memory_usage("probe") or 0)
    bench.client.delete("probe")
    return float(taken - len(request))


def runs_of(log: Path) -> Counter[str]:
    """How often each job ran."""
    return Counter(log.read_text().splitlines() if log.exists() else ())


def kill(bench: Bench, name: str, jobs: int, wait_s: float, *, kept: bool) -> dict[str, int]:
    """Kill a worker when half of the jobs have run, start another, and count when no job has run for `wait_s`."""
    bench.empty()
    log = bench.folder / f"{name}.log"
    log.unlink(missing_ok=True)
    asked = {"JOBS": jobs, "DURABLE": int(kept), "JOB_S": JOB_S, "LOG": log, "LEASE_S": 5 if kept else 60}
    bench.step(name, "enqueue", **{**asked, "LOG": ""})
    worker = {**asked, "JOBS": 10**9} if name == "nightpress" else asked
    with bench.started(name, "work", **worker):
        _wait(lambda: sum(runs_of(log).values()) >= jobs // 2, 60)
    killed_at = time.monotonic()
    with bench.started(name, "work", **worker):
        recovered_s = _wait_for_rest(log, jobs, wait_s) - killed_at
        runs = runs_of(log)
        twice = sum(count > 1 for count in runs.values())
        found = {"lost": jobs - len(runs), "twice": twice, "again": twice, "s": math.ceil(recovered_s)}
    if name == "nightpress":
        rows = bench.step(name, "published")
        found |= {"lost": jobs - rows["rows"], "twice": rows["twice"]}
    return found


def _wait(condition: Any, limit_s: float) -> bool:
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _wait_for_rest(log: Path, jobs: int, wait_s: float) -> float:
    """Until every job has run and 5 s more (a segment is written, a second run would show), or nothing happens.

    Returns when a job ran for the first time at last.
    """
    ran, since, distinct, recovered = 0, time.monotonic(), 0, time.monotonic()
    while time.monotonic() - since < (5 if len(runs_of(log)) >= jobs else wait_s):
        if (now := sum(runs_of(log).values())) != ran:
            ran, since = now, time.monotonic()
        if len(runs_of(log)) != distinct:
            distinct, recovered = len(runs_of(log)), time.monotonic()
        time.sleep(0.1)
    return recovered


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def table(
    found: dict[str, dict[str, float]], kills: dict[str, dict[str, dict[str, int]]], versions: dict[str, str]
) -> str:
    """At most 80 columns: rates, memory, and what the kill cost."""
    rows = {name: values for name, values in found.items() if name != "nightpress"}
    ours = found["nightpress"]
    whole = {key: ours[f"whole {key}"] for key in ("64", "1", "enq/s")}
    shown = {"nightpress": {}, "  queue": ours, "  whole": whole, "  worker": {"64": ours["worker 64"]}, **rows}
    columns = {"64": "64, jobs/s", "1": "1, jobs/s", "enq/s": "enq/s", "p99": "p99", "cpu": "cpu", "bytes": "bytes"}
    widths = {"64": 11, "1": 11, "enq/s": 9, "p99": 9, "cpu": 8, "bytes": 8}
    lines = [f"{'':12}{'version':>9}" + "".join(f"{title:>{widths[key]}}" for key, title in columns.items())]
    for name, values in shown.items():
        cells = [f"{f'{values[key]:,.0f}' if key in values else '':>{width}}" for key, width in widths.items()]
        lines.append(f"{name:12}{versions.get(name, ''):>9}{''.join(cells)}".rstrip())
    for key in ("64", "1") if rows else ():
        fastest = max(rows, key=lambda name: rows[name][key])
        lines.append(f"batches of {key}: {ours[key] / rows[fastest][key]:.1f} times {fastest}, the fastest peer")
    said = "of our bytes, {:,.0f} are the request's other fields, {:,.0f} what malloc rounds up"
    lines.append(said.format(ours["stored"], ours["rounded"]))
    return "\n".join([*lines, *killed(kills), "", *(f"{name}: {NOTES[name]}" for name in rows)])


def killed(kills: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    """What the kill cost, for each in its default settings, and in those that keep most."""
    columns = [(which, key) for which in ("default", "kept") for key in ("lost", "twice", "again", "s")]
    widths = {"lost": 14, "twice": 7, "again": 7, "s": 5}
    head = "".join(f"{f'{which}: {key}' if key == 'lost' else key:>{widths[key]}}" for which, key in columns)
    lines = [f"{'killed':12}{head}"]
    for name, both in kills.items():
        lines.append(f"{name:12}" + "".join(f"{both[which][key]:>{widths[key]},}" for which, key in columns))
    return ["", *lines] if kills else []


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--with", dest="peers", default="", help=f"of {','.join(PACKAGES)}")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=2048)
    parser.add_argument("--kill", action="store_true", help="the kill test too")
    parser.add_argument("--kill-jobs", type=int, default=2000)
    parser.add_argument("--wait", type=float, default=75.0, help="seconds without a run after which a job is lost")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress/peers").expanduser())
    parser.add_argument("--json", type=Path, help="where all figures of all turns go")
    return parser.parse_args()


def main() -> None:
    """Install, run in turn, and print."""
    args = arguments()
    names = ["nightpress", *filter(None, args.peers.split(","))]
    if unknown := set(names[1:]) - PACKAGES.keys():
        sys.exit(f"--with {','.join(sorted(unknown))}: the known peers are {', '.join(PACKAGES)}")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        embedded.server(Path(scratch) / "server") as url,
    ):
        bench = Bench(url, Path(scratch), args.cache, args.jobs, args.bytes)
        for name in names[1:]:
            bench.install(name)
        versions = {name: bench.version(name) for name in names}
        server = bench.client.info("server")["redis_version"]
        print(f"Redis {server}, Python {platform.python_version()}, {os.cpu_count()} cores, {args.turns} turns", end="")
        print(f", {args.jobs:,} jobs of {args.bytes:,} bytes", flush=True)
        turns: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(args.turns):
            for name in names:
                turns[name].append(turn(bench, name))
        kills: dict[str, dict[str, dict[str, int]]] = {}
        for name in names if args.kill else ():
            kills[name] = {
                "default": kill(bench, name, args.kill_jobs, args.wait, kept=False),
                "kept": kill(bench, name, args.kill_jobs, args.wait, kept=True),
            }
    found = {name: medians(each) for name, each in turns.items()}
    print(table(found, kills, versions))
    if args.json:
        args.json.write_text(
            json.dumps({"versions": versions, "turns": turns, "medians": found, "kills": kills}, indent=1)
        )


if __name__ == "__main__":
    main()
