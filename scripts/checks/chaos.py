"""Causes random faults in a fleet (workers with the stub engine, a real server, a store on disk) and checks that nothing is lost.

    python scripts/checks/chaos.py [--minutes 5] [--seed 1] [--workers 3] [--replay FILE]

Batches are submitted, cancelled and reopened between the faults. The script prints the schedule: one JSON line for each event.
With --replay, the script reads the schedule from the output of an earlier run. After the last event, the fleet publishes every
batch. The script waits for that until the fleet has made no progress for STALL_S seconds, or longer on a busy machine. Then the
script checks the invariants I1 to I6 of tests/faults/README.md. I1 to I3 are checked for the latest round of each batch. Of I4,
the script checks only that no job is left on the queue. I5 is checked by the numbers of all attempts, and I6 for the segments
that were counted in the latest round.

Exit status: 0 if every invariant holds, 1 if one does not.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from chaos_fleet import ATTEMPTS, LANE, Chaos  # type: ignore[import-not-found]  # beside this script, which is run by its path
from patience import Patience  # type: ignore[import-not-found]
from rich.console import Console
from rich.table import Table

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import is_open, latest_done, require_batch
from jobs.batches.segments.files import each_outcome, list_files
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import Segment, read_segments
from jobs.errors import RequestError
from jobs.usage import NAMES, Usage, total

STALL_S: Final = 60.0
"""Seconds within which the fleet must make progress on an idle machine. Otherwise each unpublished batch is a violation."""
KINDS: Final = {
    "submit": 8,
    "cancel": 1,
    "reopen": 2,
    "kill_worker": 4,
    "stop_worker": 3,
    "kill_redis": 2,
    "stop_redis": 1,
    "roll_back": 2,
    "flush_all": 1,
    "evict": 3,
    "flush_scripts": 1,
    "store_away": 1,
}
"""The kinds of events, each with its weight: how often the kind is chosen relative to the others. A kind names a method of
`Chaos`.
"""


@dataclass(frozen=True)
class Event:
    """An event of the schedule. `at_s` is its time, in seconds after the start.

    `kind` is a key of KINDS. `draw` is a random number: the event's method derives its choices from it, such as the worker.
    """

    at_s: float
    kind: str
    draw: int


def schedule(seed: int, seconds: float) -> Iterator[Event]:
    """Yield random events for `seconds` seconds, about one every two seconds. The same seed gives the same events."""
    chance = random.Random(seed)
    at_s = 0.0
    yield Event(at_s, "submit", 0)
    while (at_s := at_s + chance.uniform(0.2, 4.0)) < seconds:
        (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
        yield Event(round(at_s, 2), kind, chance.randrange(1 << 30))


def run(chaos: Chaos, events: list[Event]) -> Counter[str]:
    """Run each event at its time. Then wait until all batches are published, or the fleet makes no more progress.

    Returns how often each kind of event took place. An event that the batch's state does not allow does not count.
    """
    happened: Counter[str] = Counter()
    began = time.monotonic()
    for event in events:
        while time.monotonic() - began < event.at_s:
            chaos.turn()
            time.sleep(0.05)
        try:
            getattr(chaos, event.kind)(event.draw)
            happened[event.kind] += 1
        except RequestError:
            pass  # for example: the event cancels a published batch, or reopens an open batch
    patience = Patience(STALL_S)
    while not chaos.settled and not patience.is_over(chaos.progress):
        chaos.turn()
        time.sleep(0.05)
    return happened


def faults_of(chaos: Chaos) -> list[str]:
    """Return a sentence for each violation of the invariants I1 to I6 of tests/faults/README.md."""
    found: list[str] = []
    for batch_id in chaos.ids:
        found += [f"{batch_id}: {fault}" for fault in verify(chaos.store, batch_id)]
        if is_open(chaos.store, batch_id):
            found.append(f"{batch_id}: is not published, and the fleet gets no further: {missing(chaos, batch_id)}")
        lines = each_outcome(chaos.store, BatchPaths(batch_id))
        found += [f"{batch_id}: attempt {line.attempt} of row {line.row}" for line in lines if line.attempt > ATTEMPTS]
        found += [f"{batch_id}: {fault}" for fault in unaccounted(chaos, batch_id)]
    left = chaos.queue.snapshot(LANE)
    if left.ready or left.delayed or left.leased:
        found.append(
            f"the queue holds {left.ready} ready, {left.delayed} delayed, {left.leased} leased jobs of no open batch"
        )
    return found


def missing(chaos: Chaos, batch_id: str) -> str:
    """Return a sentence that says how many rows of an open batch have no outcome in storage."""
    index = OutcomeIndex(chaos.store, require_batch(chaos.store, batch_id))
    index.refresh()
    return f"{index.missing} rows have no outcome"


def unaccounted(chaos: Chaos, batch_id: str) -> Iterator[str]:
    """Compare the usage of the latest round, charged plus wasted, with the sum over the segments that its publisher counted.

    Yield a sentence for each figure that differs. Yield nothing if no round is published.
    """
    done = latest_done(chaos.store, batch_id)
    if done is None:
        return
    spent = {name: total(line.usage + line.wasted for line in lines) for name, lines in counted(chaos, batch_id, done)}
    usage = read_usage(chaos.store, done, batch_id)
    charged = Usage.from_dict(usage) + Usage.from_dict(usage["wasted"])
    written = total(spent.values())
    for name in NAMES:
        if name != "charge" and getattr(charged, name) != getattr(written, name):
            yield f"{name}: {getattr(written, name)} in the segments, {getattr(charged, name)} in usage.json"


def counted(chaos: Chaos, batch_id: str, done: Done) -> Iterator[tuple[str, list[Outcome]]]:
    """Yield the name and the lines of each segment that the publisher of the round `done` counted.

    Segments that were written after the round was published are left out: the newest segments are dropped, until the hash of
    the names is that of the round.
    """
    paths = BatchPaths(batch_id)
    alone, compacted, _ = list_files(chaos.store, paths)
    root = Path(chaos.store.url)
    found: dict[str, Segment] = {}
    for path in (*compacted, *sorted(alone, key=lambda path: (root / path).stat().st_mtime)):
        found.update({one.head.name: one for one in read_segments(chaos.store, path) if one.head.name not in found})
    names = list(found)
    while names and hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest() != done.segments_sha256:
        names.pop()
    yield from ((name, list(found[name].outcomes())) for name in names)


def main() -> int:
    """Run a fleet under faults, and print the counts of events and the violations of invariants. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--replay", type=Path, help="the output of an earlier run, or lines of it")
    args = parser.parse_args()
    events = list(schedule(args.seed, args.minutes * 60))
    if args.replay:
        events = [Event(**json.loads(line)) for line in args.replay.read_text().splitlines() if line.startswith("{")]
    for event in events:
        print(json.dumps(asdict(event)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chaos = Chaos(Path(folder), args.workers)
        try:
            happened = run(chaos, events)
            found = faults_of(chaos)
        finally:
            chaos.close()
    table = Table(title=f"chaos, seed {args.seed}, {args.minutes:g} min, {args.workers} workers", width=80)
    table.add_column("event or result")
    table.add_column("count", justify="right")
    lost = sum(int(match[1]) for fault in found if (match := re.search(r"(\d+) rows have no outcome", fault)))
    for name, number in [
        ("batches", len(chaos.ids)),
        ("rows", chaos.rows),
        *sorted(happened.items()),
        ("worker restarts", chaos.restarts),
        ("rows lost", lost),
        ("rows with two outcomes", sum("more than one outcome" in fault for fault in found)),
        ("damaged or missing files", sum("damaged" in fault or "is missing" in fault for fault in found)),
        ("violations of invariants", len(found)),
    ]:
        table.add_row(name, f"{number:,}")
    console = Console(width=80)
    console.print(table)
    for fault in found:
        console.print(fault, style="red")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
