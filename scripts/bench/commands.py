"""Measures the time and memory of each command over a store of many finished rows, compared with merely reading its files.

    python scripts/bench/commands.py [--rows 50000] [--folder FOLDER] [--only WORD]

The store holds two batches of made-up articles, which no model wrote: every row of both has its outcome, and one of them is
published. Each command is a process of its own. All times are processor time, so other work on the machine does not count. The
table has the time of each command, the microseconds a row beyond the time of the same command over a store of `FEW` rows, its
peak memory, and the ratio to reading: the time beyond that of few rows, over the time of a loop that reads the same files, with
their checksum, and parses each line as JSON. For `results`, which writes as much as it reads, the loop also writes each line as
it is: to one file, or for markdown to a file of its own. The column `parsing` has the time of the loop without the writing. For
commands that read heads alone, the loop reads the first lines of the segments. Loops and commands take turns.

With `--folder` the stores are kept there, and are made only if they are missing.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import orjson
from rich.console import Console
from rich.table import Table

from jobs.batches.batch import BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import list_batches
from jobs.batches.segments.compaction import compact
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import Usage

ROWS_A_SEGMENT: Final = 50
"""Segments have this many rows, so small ones are compacted."""
UNCOMPACTED: Final = 64
"""This many of the latest segments of each batch are not compacted, as while a batch is still running."""
PROGRAM: Final = """
import re, sys, time
from jobs.commands.cli import main
status = main(sys.argv[2:])
peak = re.search(r"VmHWM:\\s*([0-9]+)", open("/proc/self/status").read())
open(sys.argv[1], "w").write(f"{time.process_time()} {peak[1]}")
sys.exit(status)
"""
"""Runs a command, and leaves its processor time in seconds and its peak memory in KiB in a file."""
FEW: Final = 200
"""The rows of the small store. A command over it shows the time that does not depend on the number of rows."""
WORDS: Final = "Sow basil in the warm, thin it at four leaves, and water the soil, never the leaf. "
WHEN: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Command:
    """A command: its arguments, and `reads`, the loop that merely reads the same files; None if the command reads none.

    If that loop writes too, `parses` is the same loop without the writing.
    """

    args: Sequence[str]
    reads: Callable[[], object] | None = None
    parses: Callable[[], object] | None = None


def main() -> None:
    """Make the store, time the commands, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="", help="time only the commands in which this word stands")
    parser.add_argument("--runs", type=int, default=3, help="the fastest run of so many counts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpress-commands-") as scratch:
        folder = (args.folder or Path(scratch)).absolute()
        for rows in (FEW, args.rows):
            if not (folder / str(rows) / "whole").exists():
                make(folder / str(rows), rows)
        show(folder, args.rows, args.only, args.runs)


def make(folder: Path, rows: int) -> None:
    """Make the input files, and the store with one published batch and one that waits for its publisher."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.jsonl").open("wb") as lines, (folder / "rows.csv").open("w") as table:
        table.write("kind,custom_id,topic,audience,target_words\n")
        for row in range(rows):
            values = {"kind": "article", "custom_id": f"c{row}", "topic": f"Basil {row}", "audience": "gardeners"}
            lines.write(orjson.dumps({**values, "target_words": 400}, option=orjson.OPT_APPEND_NEWLINE))
            table.write(f"article,c{row},Basil {row},gardeners,400\n")
    store = open_store(str(folder / "store"))
    for name in ("open", "published"):
        with (folder / "rows.jsonl").open("rb") as file:
            batch = accept(
                store,
                file,
                IntakeOptions(name=name, model="stub"),
                kinds=load_kinds(None),
                settings=Settings(),
                run_key=name,
            ).batch
        paths = BatchPaths(batch.batch_id)
        for n in range(0, rows, ROWS_A_SEGMENT):
            write(store, paths, [outcome(row) for row in range(n, min(n + ROWS_A_SEGMENT, rows))], "w", "1", n)
            if n // ROWS_A_SEGMENT == rows // ROWS_A_SEGMENT - UNCOMPACTED:
                compact(store, OutcomeIndex(store, batch))
        if name == "published":
            publish(store, batch.batch_id, prices=Prices(), clock=lambda: WHEN)
    (folder / "whole").touch()


def outcome(row: int) -> Outcome:
    """Return the made-up outcome of a completed row, as a worker writes it."""
    text = f"## Row {row}\n\n" + WORDS * 24
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
        "currency": "USD",
        "templates": {"title": "5" * 64},
    }
    output = {
        "title": f"Basil {row}",
        "slug": f"basil-{row}",
        "meta_description": WORDS,
        "body_markdown": text,
        "word_count": 400,
    }
    usage = Usage(500, 0, 500, 1_000_000 + row, 14, 1_000 + row)
    return Outcome(
        row=row, round=1, fence=1, claim_id=f"w-1-{row}", status="completed", final=True, kind="article",
        custom_id=f"c{row}", output=output, usage=usage, model="stub", tenant="default", receipt=receipt,
    )  # fmt: skip


def show(folder: Path, rows: int, only: str, runs: int) -> None:
    """Time the commands, and print a line for each."""
    shown = Table(title=f"{rows:,} rows, processor time")
    for name in ("command", "s", "us a row", "peak MB", "reading s", "ratio", "parsing s"):
        shown.add_column(name, justify="left" if name == "command" else "right")
    few = commands(folder / str(FEW))
    for name, command in commands(folder / str(rows)).items():
        if only not in name:
            continue
        whole, small, reading, parsing = [], [], [], []
        for _ in range(runs):
            whole.append(ran(folder / str(rows), command.args))
            reading.append(timed(command.reads))
            small.append(ran(folder / str(FEW), few[name].args))
            parsing.append(timed(command.parses))
        seconds, peak = min(whole)
        beyond, loop = max(0.0, seconds - min(small)[0]), min(reading)
        shown.add_row(
            name,
            f"{seconds:.2f}",
            f"{beyond / rows * 1e6:.1f}",
            f"{peak / 1e6:.0f}",
            f"{loop:.2f}" if command.reads else "",
            f"{beyond / loop:.1f}" if command.reads else "",
            f"{min(parsing):.2f}" if command.parses else "",
        )
    Console(width=100).print(shown)


def commands(folder: Path) -> dict[str, Command]:
    """Return the commands by their names in the table."""
    store = open_store(str(folder / "store"))
    ids = {batch_id.rpartition("-")[0]: batch_id for batch_id in list_batches(store)}
    middle = str(sum(1 for _ in (folder / "rows.jsonl").open("rb")) // 2)
    root = folder / "store" / BatchPaths(ids["published"]).root
    output = next(root.glob("published/*/output.jsonl"))
    segments = [*root.glob("segments/*"), *root.glob("compacted/*")]
    of_open = folder / "store" / BatchPaths(ids["open"]).root
    open_segments = [*of_open.glob("segments/*"), *of_open.glob("compacted/*")]
    requests = next(root.glob("input/*"))

    def published() -> None:
        parse(output)

    def copied() -> None:
        with (folder / "copied").open("wb") as target:
            parse(output, target)

    def heads(paths: Sequence[Path]) -> Callable[[], None]:
        return lambda: first_lines(paths)

    def heads_and_requests() -> None:
        first_lines(segments)
        parse(requests)

    def every_segment() -> None:
        for path in open_segments:
            parse(path)

    def every_segment_copied() -> None:
        with (folder / "copied").open("wb") as target:
            for path in open_segments:
                parse(path, target)

    found = {
        "--version": Command(["--version"]),
        "status": Command(["status"], heads(open_segments)),
        "status open": Command(["status", ids["open"]], heads(open_segments)),
        "status published": Command(["status", ids["published"]], heads(segments)),
        "show published": Command(["show", ids["published"], middle], heads_and_requests),
        "show open": Command(["show", ids["open"], middle], heads_and_requests),
        "preview of a csv": Command(["preview", str(folder / "rows.csv")]),
        "preview of jsonl": Command(["preview", str(folder / "rows.jsonl")]),
        "preview of all rows of a csv": Command(
            ["preview", str(folder / "rows.csv"), "--limit", "1000000000"], lambda: parse(folder / "rows.jsonl")
        ),
        "preview of all rows of jsonl": Command(
            ["preview", str(folder / "rows.jsonl"), "--limit", "1000000000"], lambda: parse(folder / "rows.jsonl")
        ),
        "enqueue --dry-run": Command(
            ["enqueue", str(folder / "rows.jsonl"), "--dry-run"], lambda: parse(folder / "rows.jsonl")
        ),
        "failed list": Command(["failed", "list", ids["published"]]),
        "usage": Command(["usage"]),
    }
    for form in ("jsonl", "csv", "openai", "parquet"):
        place = str(folder / f"results.{form}")
        found[f"results {form}"] = Command(
            ["results", ids["published"], "--format", form, "-o", place], copied, published
        )
    found["results so far jsonl"] = Command(
        ["results", ids["open"], "-o", str(folder / "so-far")], every_segment_copied, every_segment
    )
    pages = folder / "pages"
    found["results markdown"] = Command(
        ["results", ids["published"], "--format", "markdown", "-o", f"{pages}/"],
        lambda: files(output, folder / "bare"),
        published,
    )
    return found


def ran(folder: Path, args: Sequence[str]) -> tuple[float, int]:
    """Run a command once, and return its seconds and the bytes of its peak memory."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")},
        "NIGHTPRESS_STORE_URL": str(folder / "store"),
        "NIGHTPRESS_MODEL": "stub",
    }
    with (folder / "printed").open("wb") as printed:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder / "peak"), *args],
            env=env,
            cwd=folder,
            stdout=printed,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise SystemExit(f"{' '.join(args)}: {(folder / 'printed').read_text()[-2000:]}")
    seconds, peak = (folder / "peak").read_text().split()
    return float(seconds), int(peak) * 1024


def timed(call: Callable[[], object] | None) -> float:
    """Return how many seconds of processor time a call takes; 0 for None."""
    began = time.process_time()
    if call is not None:
        call()
    return time.process_time() - began


def parse(path: Path, target: BinaryIO | None = None) -> None:
    """Read a file, make its sha256, and parse each line. The lines are written to `target` if it is given."""
    digest = hashlib.sha256()
    for line in read_lines(path):
        digest.update(line)
        orjson.loads(line[line.find(b"{") : line.rfind(b"}") + 1])
        if target is not None:
            target.write(line)


def first_lines(paths: Sequence[Path]) -> None:
    """Read and parse the first line of each file."""
    for path in paths:
        orjson.loads(next(read_lines(path)))


def files(path: Path, folder: Path) -> None:
    """Read a file as `parse` does, and write each line into a file of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    digest = hashlib.sha256()
    for n, line in enumerate(read_lines(path)):
        digest.update(line)
        orjson.loads(line)
        (folder / f"{n:06}.md").write_bytes(line)


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file."""
    with path.open("rb") as file:
        yield from file


if __name__ == "__main__":
    main()
