"""Measures the time of `nightpress usage` over many published batches.

    python scripts/bench/usage.py --batches 10000

The script writes the files of published batches, as if each publisher had died before it summed up the usage of its batch. The
script sums up all batches once, and prints how long this took. Then it times whole commands, each in a new process. Before each
command, it asks the system to drop the accounts from the page cache. The script prints the times of the fastest and the slowest
of three runs of each command, and the number of files in the accounts.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from jobs.accounts.archive import FOLDER
from jobs.accounts.summaries import catch_up
from jobs.batches.batch import Batch, BatchPaths, Done, LaneInput, PublishedFile
from jobs.batches.published import ERRORS, OUTPUT, USAGE
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import to_bytes
from jobs.store.opening import open_store

KINDS = ("article", "social_post", "translation", "chat")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Write the batches, sum up their usage, and time the commands."""
    parser = argparse.ArgumentParser(description="Time `nightpress usage` over many batches.")
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=4, help="rows of each batch")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpress-usage-") as folder:
        root = Path(folder) / "store"
        for n in range(args.batches):
            _write(root, n, args.rows)
        began = time.monotonic()
        catch_up(open_store(str(root)))
        print(f"{args.batches:,} batches summed up in {time.monotonic() - began:.1f} s, once, beside the work")
        env = {**os.environ, "NIGHTPRESS_STORE_URL": str(root)}
        for more in (["--by", "batch"], ["--by", "tenant"], ["--by", "day", "--since", "2026-01-05"]):
            took = sorted(_timed(root, [*more, "--format", "csv"], env) for _ in range(3))
            print(f"usage {' '.join(more)}: {took[0]:.2f} s to {took[-1]:.2f} s")
        print(f"{len(list((root / FOLDER).iterdir()))} files in {FOLDER}/")


def _timed(root: Path, args: list[str], env: dict[str, str]) -> float:
    for path in (root / FOLDER).iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [str(Path(sys.executable).with_name("nightpress")), "usage", *args]
    began = time.monotonic()
    subprocess.run(command, env=env, cwd=root, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def _write(root: Path, n: int, rows: int) -> None:
    """Write the files of one published batch, and the empty file that says that its usage is not summed up yet."""
    batch_id, at = f"night-{n:06}", FIRST + timedelta(minutes=n)
    paths = BatchPaths(batch_id)
    kind, tenant = KINDS[n % len(KINDS)], f"tenant-{n % 20}"
    requests = [RowRequest(row, row + 1, kind, "stub", {}, tenant=tenant).to_line() for row in range(rows)]
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "device_ns": 10**9, "charge": 7}
    output = b"".join(
        orjson.dumps({"row": row, "kind": kind, "model": "stub", "usage": usage}, option=orjson.OPT_APPEND_NEWLINE)
        for row in range(rows)
    )
    used = {name: rows * count for name, count in usage.items()}
    group = {"currency": "USD", "tenant": tenant, "model": "stub", "kind": kind, "template": "", "rows": rows, **used}
    files = {
        OUTPUT: output,
        ERRORS: b"",
        USAGE: orjson.dumps({"format": 1, "currency": "USD", "groups": [group]}) + b"\n",
    }
    lane = LaneInput(model="stub", rows=rows, bytes=1, sha256="0" * 64)
    named = {
        name: PublishedFile(rows=data.count(b"\n"), bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    }
    batch = Batch(
        batch_id=batch_id,
        name="night",
        tenant=tenant,
        priority=4,
        run_key=str(n),
        rows=rows,
        refused=0,
        lanes={"stub": lane},
        full_sha256="0" * 64,
        created_at=at,
    )
    done = Done(
        round=1, folder="published/1-bench", counts={"completed": rows}, files=named, segments_sha256="0" * 64, at=at
    )
    for path, data in {
        paths.input("stub"): b"".join(requests),
        paths.acceptance: to_bytes(batch),
        paths.done(1): to_bytes(done),
        paths.unsummed(1): b"",
        **{f"{paths.root}/{done.folder}/{name}": data for name, data in files.items()},
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


if __name__ == "__main__":
    main()
