"""Compares our queue with its peers on one Redis: how fast it drains and fills, its memory, and the cost of broken workers.

    python scripts/bench/lanes.py --with celery,rq,dramatiq [--turns 3] [--jobs 20000]
        [--fault kill,unacked,stop] [--kills 5] [--json FILE]

Each peer is installed into a separate environment under the cache folder. All systems run in turn. Each step runs in a new
process. The table shows medians over the turns. Nightpress has three lines in the table:

- `queue`: the queue alone, measured as the peers are. Rows are fed from the input in storage (`enq/s`), and then claimed and
  settled by the two calls that a worker makes.
- `whole`: the queue in its normal use: rows are fed while it drains. Here `enq/s` is the rate of the intake, which reads, checks,
  hashes and stores rows.
- `worker`: a whole worker with an engine that answers at once. Every outcome is durable in storage.

The columns `64` and `1` are the jobs a second that are drained in batches of 64 and of 1. With batches of 1, each job is claimed
and settled separately. Like a worker, our program claims the next job while one is in work, so at most two jobs are leased.
Celery, dramatiq and taskiq fetch one job ahead too; the other peers cannot fetch a job without running it.

`p99` is a wait in ms: if 150 jobs come each second to an idle worker, 99 % of the jobs do not wait longer. `cpu` is the server's
processor time for one job, from its enqueueing to its end, in microseconds. `bytes` is the growth of the server's memory
(`used_memory`) for each queued job, less its payload of `--bytes`. For Nightpress, `bytes` includes two other things: the other
fields of the request, and the bytes by which the server's allocator rounds the request up. The rounding depends only on the
request's length, and is at most a fifth (2,176 bytes take 2,560). The lines under the table give two figures for a queued job,
both without the request and its fields: with the rounding, and without it. Without the rounding, at most 300 bytes are promised.

With --fault, workers are broken while they drain, `--kills` times for each fault. `scripts/bench/queue_peers/faults.py` says how
this is done, and what is counted. Each system runs with the settings `default` and `kept`, but for the fault `stop` only with
`kept`. `default` is the system as it comes. `kept` loses the fewest jobs according to the peer's documentation, and gives a dead
worker's jobs to another worker as soon as the peer allows. The lines below the tables list the settings of the peers. `n` is how
often the fault occurred.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.bench.queue_peers import faults
from scripts.bench.queue_peers.contenders import NOTES, PACKAGES, STEP_S, Bench, wait_for
from scripts.bench.queue_peers.server import server

LANE: Final = "stub"
RATE: Final = 150
PACED_JOBS: Final = 400
SMALL_BATCH_PART: Final = 4
"""With batches of 1, the number of jobs is divided by this, because each job takes longer."""


def p99_ms(bench: Bench, feed: tuple[str, str], work: tuple[str, str]) -> float:
    """Return a wait in milliseconds: if RATE jobs come each second, 99 % of the jobs do not wait longer for a worker.

    `feed` and `work` are the steps that enqueue and that run the jobs, each as the system's name and the step's name.
    """
    bench.empty()
    waits = bench.folder / "waits.json"
    waits.unlink(missing_ok=True)
    options: dict[str, Any] = {"RATE": RATE, "JOBS": PACED_JOBS}
    with bench.started(*work, **options, RESULT=waits) as (worker, _):
        bench.step(*feed, **options)
        if not wait_for(lambda: waits.exists() and waits.read_text(), STEP_S if worker.poll() is None else 0):
            sys.exit(f"{' '.join(work)}: {bench.log.read_text()[-2000:]}")
    return float(json.loads(waits.read_text())["p99_s"]) * 1000


def peer(bench: Bench, name: str) -> dict[str, float]:
    """Measure all figures of one peer once. Returns the figures by the columns' names."""
    few = max(bench.jobs // SMALL_BATCH_PART, 1)
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
    """Measure all figures of one system once. Returns the figures by name.

    For Nightpress, the figures of the lines `whole` and `worker` have names that begin with the line's name.
    """
    if name != "nightpress":
        return peer(bench, name)
    few = max(bench.jobs // SMALL_BATCH_PART, 1)
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
    """Return the bytes by which the server's allocator rounds up a request. One request is stored as a string to measure this."""
    (key,) = bench.client.keys(f"np:*/{LANE}}}:payload")
    _, request = next(iter(bench.client.hscan_iter(key)))
    bench.client.set("probe", request)
    whole = bench.client.memory_usage("probe") or 0
    bench.client.set("probe", 1)
    taken = whole - (bench.client.memory_usage("probe") or 0)
    bench.client.delete("probe")
    return float(taken - len(request))


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the turns."""
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def table(found: dict[str, dict[str, float]], versions: dict[str, str]) -> str:
    """Return the table of rates and memory, at most 80 characters wide, and the lines under it.

    `found` holds the medians of each system, and `versions` the system's version.
    """
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
    rounded, with_rounding = ours["rounded"], ours["bytes"] - ours["stored"]
    lines.append(f"of our bytes, {ours['stored']:,.0f} are the request's other fields, so a queued job takes")
    lines.append(
        f"{with_rounding:,.0f} beside its request: {with_rounding - rounded:,.0f}, and {rounded:,.0f} that malloc rounds it up by"
    )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--with", dest="peers", default="", help=f"peers, comma-separated: {','.join(PACKAGES)}")
    parser.add_argument("--turns", type=int, default=3, help="0 to run only the faults")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=2048)
    parser.add_argument("--fault", default="", help=f"break workers too, comma-separated: {','.join(faults.FAULTS)}")
    parser.add_argument("--kills", type=int, default=5, help="workers that are broken in one drain")
    parser.add_argument("--kill-jobs", type=int, default=3000, help="jobs of a drain with faults")
    parser.add_argument(
        "--wait", type=float, default=120.0, help="seconds without any event after which a drain counts as ended"
    )
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress/peers").expanduser())
    parser.add_argument("--json", type=Path, help="a file for all figures of all turns")
    return parser.parse_args()


def main() -> None:
    """Install the peers, run all systems in turn, and print the tables."""
    args = arguments()
    names = ["nightpress", *filter(None, args.peers.split(","))]
    if unknown := set(names[1:]) - PACKAGES.keys():
        sys.exit(f"--with {','.join(sorted(unknown))}: the known peers are {', '.join(PACKAGES)}")
    asked = list(filter(None, args.fault.split(",")))
    if unknown := set(asked) - set(faults.FAULTS):
        sys.exit(f"--fault {','.join(sorted(unknown))}: the known faults are {', '.join(faults.FAULTS)}")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        server(Path(scratch) / "server") as url,
    ):
        bench = Bench(url, Path(scratch), args.cache, args.jobs, args.bytes)
        for name in names[1:]:
            bench.install(name)
        versions = {name: bench.version(name) for name in names}
        version = bench.client.info("server")["redis_version"]
        print(
            f"Redis {version}, Python {platform.python_version()}, {os.cpu_count()} cores, {args.turns} turns", end=""
        )
        print(f", {args.jobs:,} jobs of {args.bytes:,} bytes", flush=True)
        turns: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(args.turns):
            for name in names:
                turns[name].append(turn(bench, name))
        broken: dict[str, dict[str, dict[str, dict[str, int]]]] = defaultdict(lambda: defaultdict(dict))
        for fault in asked:
            for name in names:
                for which in ("default", "kept") if fault != "stop" else ("kept",):
                    kept = which == "kept"
                    trial = faults.Trial(bench, name, fault, args.kills, args.kill_jobs, args.wait, kept)
                    broken[fault][name][which] = trial.run()
    found = {name: medians(each) for name, each in turns.items()}
    notes = [f"{name}: {NOTES[name]}" for name in names[1:]]
    print("\n".join([*([table(found, versions)] if found else ()), *faults.lines(broken), "", *notes]).strip())
    if args.json:
        args.json.write_text(
            json.dumps({"versions": versions, "turns": turns, "medians": found, "faults": broken}, indent=1)
        )


if __name__ == "__main__":
    main()
