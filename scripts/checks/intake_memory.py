"""Checks the intake of a large file: its memory and time, and that it refuses every duplicate and no other row.

    python scripts/checks/intake_memory.py [--bytes 1e9] [--form jsonl|csv|openai] [--ids ordered|scattered]
        [--folder F] [--json FILE]

The script makes a file of rows of 100 bytes, each with a custom_id. One row in a thousand repeats the custom_id of an earlier
row. A separate process accepts the file into a store in a folder, as `enqueue` does, and the kernel reports the peak of the
process's resident memory. Then the script reads the refused rows from the store. They must be exactly the rows that repeat a
custom_id, and the error of each must name the line of the earlier row. The exit status is 1 if a row is wrong, or if more than
300 MB were resident. With `--ids scattered`, the ids have no order, like UUIDs, and are harder to look up than with `ordered`.
"""

import argparse
import hashlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROW_BYTES: Final = 100
LIMIT_BYTES: Final = 300_000_000
EVERY: Final = 1_000
"""In each group of this many rows, the last row repeats the custom_id of an earlier row."""


def original(row: int) -> int | None:
    """Return the earlier row whose custom_id this row repeats; None if the row has its own custom_id."""
    if row % EVERY != EVERY - 1:
        return None
    earlier = (row * 2_654_435_761) % row
    return earlier if earlier % EVERY != EVERY - 1 else earlier - 1


def name_of(row: int, ids: str) -> str:
    """Return the custom_id of a row: twelve characters."""
    named = row if (earlier := original(row)) is None else earlier
    return f"{named:012d}" if ids == "ordered" else hashlib.md5(b"%d" % named, usedforsecurity=False).hexdigest()[:12]


def rows_of(form: str, ids: str, size: int) -> Iterator[bytes]:
    """Yield the lines of the file. Each has ROW_BYTES bytes, except the header line of a CSV file."""
    head, tail = {
        "jsonl": ('{"custom_id": "', '", "kind": "chat", "prompt": "%s"}\n'),
        "csv": ("", ",chat,%s\n"),
        "openai": ('{"custom_id": "', '", "url": "/v1/completions", "body": {"prompt": "%s"}}\n'),
    }[form]
    pad = ROW_BYTES - len(head) - 12 - (len(tail) - 2)
    end = (tail % ("Name a herb for a balcony. " * 4)[:pad].replace(",", ".")).encode()
    if form == "csv":
        yield b"custom_id,kind,prompt\n"
    for row in range(size // ROW_BYTES):
        yield head.encode() + name_of(row, ids).encode() + end


def taken_in(path: Path, store_url: str) -> dict[str, Any]:
    """Accept the file in this process. Returns the batch's id and counts, the seconds, and the peak memory in bytes."""
    from jobs.intake.accept import IntakeOptions, accept_file
    from jobs.settings import Settings
    from jobs.store.opening import open_store

    started = time.monotonic()
    settings = Settings(store_url=store_url, model="stub")
    accepted = accept_file(open_store(store_url), path, IntakeOptions(), settings, "check")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "batch": accepted.batch.batch_id,
        "rows": accepted.batch.rows,
        "refused": accepted.batch.refused,
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """Return the peak of this program's resident memory, in bytes.

    getrusage is not used, because it also counts the memory that the parent process had when it started this program.
    """
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def wrong_rows(store_url: str, batch_id: str, rows: int, first_line: int) -> list[str]:
    """Return a sentence for each difference between the refused rows in the store and the duplicates in the file.

    `first_line` is the number of the line that holds row 0.
    """
    from jobs.batches.batch import BatchPaths
    from jobs.batches.segments.segment import read_outcomes
    from jobs.store.opening import open_store

    store, paths = open_store(store_url), BatchPaths(batch_id)
    refused: dict[int, tuple[str, int | None]] = {}
    for name in store.list(paths.segments):
        for outcome in read_outcomes(store, paths.segment(name)):
            error = outcome.error or {"code": "none", "message": ""}
            named = re.match(r"line (\d+) ", error["message"])
            refused[outcome.row] = (error["code"], int(named[1]) - first_line if named else None)
    made = {row: ("duplicate_custom_id", earlier) for row in range(rows) if (earlier := original(row)) is not None}
    return [
        f"row {row}: {refused.get(row)} instead of {made.get(row)}"
        for row in refused.keys() | made
        if refused.get(row) != made.get(row)
    ]


def main() -> int:
    """Make the file, accept it, and compare the refused rows with the duplicates. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=float, default=1e9)
    parser.add_argument("--form", choices=("jsonl", "csv", "openai"), default="jsonl")
    parser.add_argument("--ids", choices=("ordered", "scattered"), default="ordered")
    parser.add_argument(
        "--folder", type=Path, help="where the file and the store are made; they are removed afterwards"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--take", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.take:
        print(json.dumps(taken_in(Path(args.take[0]), args.take[1])))
        return 0
    with tempfile.TemporaryDirectory(prefix="nightpress-check-", dir=args.folder) as scratch:
        path = Path(scratch) / f"rows.{args.form}"
        with path.open("wb", buffering=1 << 20) as file:
            file.writelines(rows_of(args.form, args.ids, int(args.bytes)))
        size, store_url = path.stat().st_size, f"{scratch}/store"
        ran = subprocess.run(
            [sys.executable, __file__, "--take", str(path), store_url], stdout=subprocess.PIPE, text=True, check=True
        )
        found = {"form": args.form, "ids": args.ids, "bytes": size, **json.loads(ran.stdout.splitlines()[-1])}
        wrong = wrong_rows(store_url, found["batch"], found["rows"], 2 if args.form == "csv" else 1)
    found["wrong"] = len(wrong)
    print(f"{size / 1e6:,.0f} MB of {args.form}, ids {args.ids}: {found['rows']:,} rows")
    print(f"  {found['seconds']:,.1f} s, {found['cpu_s']:,.1f} s of CPU: {size / 1e6 / found['seconds']:.1f} MB/s")
    print(f"  {found['peak_bytes'] / 1e6:,.0f} MB resident at most")
    print(f"  {found['refused']:,} duplicates found, {len(wrong):,} rows wrong")
    for one in wrong[:10]:
        print(f"  {one}")
    if args.json:
        args.json.write_text(json.dumps(found) + "\n")
    return 1 if wrong or found["peak_bytes"] > LIMIT_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
