"""How publishing and intake grow with a batch: seconds, rows/s and the peak of memory of each, in a process of its own.

    python scripts/bench_scale.py --rows 1000000 --segments 5000

Three phases on a local folder, in turn: *intake* accepts rows of 2 KB through the real intake; *segments* writes one
completed outcome for each row through the real segment writer, rows shuffled within windows as a lane's order does;
*publish* publishes and then verifies the batch (the check is not timed). --publish-only leaves intake's figure out and
makes the acceptance by hand. Peak memory is the kernel's own figure for the process. It uses no queue and no engine.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from jobs import segment
from jobs.batch import Batch, BatchPaths, Done, LaneInput
from jobs.intake import IntakeOptions, accept
from jobs.job import RowRequest
from jobs.kinds.registry import load_kinds
from jobs.prices import Prices
from jobs.publish import publish, verify
from jobs.rounds import list_batches, to_bytes
from jobs.segment import Outcome
from jobs.settings import Settings
from jobs.storage import Store
from jobs.usage import Usage

WINDOW: Final = 4096
PHASES: Final = ("intake", "accept", "segments", "publish")
WORDS: Final = "Sow basil in the warm, thin it at four leaves, and water the soil, never the leaf. "
WHEN: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def intake(store: Store, arguments: argparse.Namespace) -> None:
    """Accept the rows as a user's file would be."""
    text = (WORDS * (arguments.row_bytes // len(WORDS) + 1))[: arguments.row_bytes]
    lines = (
        json.dumps({"kind": "chat", "model": "stub", "prompt": f"{row} {text}"}).encode()
        for row in range(arguments.rows)
    )
    settings = Settings()
    options = IntakeOptions(name="scale")
    accept(store, lines, options, kinds=load_kinds(None), settings=settings, run_key="scale")


def accept_by_hand(store: Store, arguments: argparse.Namespace) -> None:
    """The acceptance of a batch of short requests, where only publishing is looked at."""
    paths = BatchPaths("scale")
    digest, size = hashlib.sha256(), 0
    with store.writer(paths.input("stub")) as file:
        for row in range(arguments.rows):
            line = RowRequest(row=row, line=row + 1, kind="chat", model="stub", request={"prompt": "x"}).to_bytes()
            file.write(line + b"\n")
            digest.update(line + b"\n")
            size += len(line) + 1
    lane = LaneInput(model="stub", rows=arguments.rows, bytes=size, sha256=digest.hexdigest())
    batch = Batch(
        batch_id="scale",
        name="scale",
        tenant="default",
        priority=4,
        run_key="scale",
        rows=arguments.rows,
        refused=0,
        lanes={"stub": lane},
        full_sha256="0" * 64,
        created_at=WHEN,
    )
    store.create(paths.acceptance, to_bytes(batch))


def segments(store: Store, arguments: argparse.Namespace) -> None:
    """Complete every row, in segments of equal size."""
    paths = BatchPaths(only_batch(store))
    order, share = shuffled(arguments.rows), -(-arguments.rows // arguments.segments)
    for n in range(arguments.segments):
        rows = list(islice(order, share))
        if rows:
            segment.write(store, paths, [completed(row, arguments.row_bytes) for row in rows], f"w{n % 8}", "1", n)


def shuffled(rows: int) -> Iterator[int]:
    """All rows, each somewhere within its window."""
    chance = random.Random(1)
    for start in range(0, rows, WINDOW):
        window = list(range(start, min(start + WINDOW, rows)))
        chance.shuffle(window)
        yield from window


def completed(row: int, size: int) -> Outcome:
    """A line as a worker writes it, with an output of `size` bytes."""
    receipt = {
        "model_revision": "1",
        "engine": "stub",
        "device": "cpu",
        "finish_reason": "stop",
        "seed": row,
        "worker": "w",
        "started_at": WHEN.isoformat(),
        "finished_at": WHEN.isoformat(),
        "prices": "example-2026-11",
    }
    text = (f"{row} " + WORDS * (size // len(WORDS) + 1))[:size]
    usage = Usage(500, 0, 500, 1_000_000 + row, 14, 1_000 + row)
    return Outcome(
        row, 1, 1, "w-1-1", "completed", True, "chat", f"c{row}", 1, {"text": text}, None, usage, Usage(), "stub",
        None, None, receipt,
    )  # fmt: skip


def published(store: Store, _: argparse.Namespace) -> None:
    """Publish, as whoever sweeps does."""
    if not isinstance(publish(store, only_batch(store), prices=Prices()), Done):
        sys.exit("the batch is not complete")


def only_batch(store: Store) -> str:
    """The batch that an earlier phase made."""
    (batch_id,) = list_batches(store)
    return batch_id


def measured(phase: str, folder: str, arguments: argparse.Namespace) -> None:
    """Run one phase as a process, and print its line."""
    options = [f"--rows={arguments.rows}", f"--segments={arguments.segments}", f"--row-bytes={arguments.row_bytes}"]
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, *options, f"--phase={phase}", f"--store={folder}"])
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    if status:
        sys.exit(f"{phase} ended with {os.waitstatus_to_exitcode(status)}")
    cpu = used.ru_utime + used.ru_stime
    rate = arguments.rows / took
    print(f"{phase:10}{took:10.1f}{cpu:10.1f}{rate:12,.0f}{used.ru_maxrss / 1024:12,.0f}", flush=True)


def main() -> None:
    """Every phase in turn; or one, in the process that the first one started for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=5_000)
    parser.add_argument("--row-bytes", type=int, default=2_048)
    parser.add_argument("--publish-only", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the store is made; it is removed afterwards")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phase:
        run = dict(zip(PHASES, (intake, accept_by_hand, segments, published), strict=True))[arguments.phase]
        run(Store.open(arguments.store), arguments)
        return
    print(f"{arguments.rows:,} rows of {arguments.row_bytes:,} bytes, {arguments.segments:,} segments\n")
    print(f"{'phase':10}{'seconds':>10}{'CPU s':>10}{'rows/s':>12}{'peak MB':>12}")
    with tempfile.TemporaryDirectory(prefix="nightpress-", dir=arguments.folder) as folder:
        for phase in ("accept" if arguments.publish_only else "intake", "segments", "publish"):
            measured(phase, folder, arguments)
        store = Store.open(folder)
        faults = verify(store, only_batch(store))
    print("\n" + ("; ".join(faults) or "verify: nothing is wrong"))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
