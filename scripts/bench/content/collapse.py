"""Measures how much posts of one topic repeat each other, before and after a round that writes such posts anew.

    python scripts/bench/content/collapse.py
    python scripts/bench/content/collapse.py --temperature 0.3

The script runs 200 posts of one topic with `nightpress run`, opens a round by `failed retry --reopen-same`, and runs that. It
prints the figures of both audits. At a low temperature, a small model writes the same few posts again and again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.rounds import read_marker
from jobs.publishing.auditing import read_audit
from jobs.store.local import LocalStore

TOPIC: Final = "Our bakery now opens on Sundays at eight"
COMMAND: Final = (sys.executable, "-c", "import sys; from jobs.commands.cli import main; sys.exit(main())")
FIGURES: Final = ("near_duplicate", "same_opening", "repeating", "distinct_1", "distinct_2", "self_bleu", "compression")


def main() -> None:
    """Run both rounds, and print their figures."""
    parser = argparse.ArgumentParser(description="Measure how much posts of one topic repeat each other.")
    parser.add_argument("--posts", type=int, default=200)
    parser.add_argument("--temperature", type=float, help="Default: that of the kind.")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--keep", type=Path, help="A folder for the store, which is kept; default: a temporary one.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        row = {"kind": "social_post", "platform": "mastodon", "topic": TOPIC, "model": args.model}
        own = {} if args.temperature is None else {"temperature": args.temperature}
        lines = (json.dumps({**row, **own, "custom_id": f"post-{n}"}) + "\n" for n in range(args.posts))
        (folder / "posts.jsonl").write_text("".join(lines))
        _run(folder)
        store = LocalStore(str(folder / "store"))
        (batch_id,) = store.list("batches")
        _show(store, batch_id, 1)
        if not store.exists(BatchPaths(batch_id).reopen(2)):
            _nightpress(folder, "failed", "retry", batch_id, "--reopen-same")
        if store.exists(BatchPaths(batch_id).reopen(2)):
            _run(folder)
            _show(store, batch_id, 2)


def _run(folder: Path) -> None:
    """Run the open round of the posts. Exit status 1 only says that a post did not complete, or that a person should read it."""
    if (status := _nightpress(folder, "run", "posts.jsonl", "--out", "out", "--workers", "1")) not in (0, 1):
        raise SystemExit(f"the posts were not run: exit status {status}. With --keep, the same command goes on")


def _nightpress(folder: Path, *words: str) -> int:
    """Run a command in the folder. Returns its exit status."""
    settings = {"NIGHTPRESS_STORE_URL": str(folder / "store"), "NIGHTPRESS_LOG_LEVEL": "warning"}
    return subprocess.run([*COMMAND, *words], cwd=folder, env={**os.environ, **settings}, check=False).returncode


def _show(store: LocalStore, batch_id: str, round_: int) -> None:
    done = read_marker(store, BatchPaths(batch_id).done(round_), Done)
    report = read_audit(store, batch_id, done)
    if report is None:
        raise RuntimeError(f"round {round_} was not audited")
    for figures in report.figures:
        values = "  ".join(f"{name} {getattr(figures, name)}" for name in FIGURES)
        print(f"round {round_}: {figures.rows} posts  collapse {figures.collapse:.1%}  {values}")


if __name__ == "__main__":
    main()
