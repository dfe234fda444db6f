"""Shows that `scripts/enqueue.py` makes a batch of the rows of a CSV file, and prints its id."""

import os
import subprocess
import sys
from pathlib import Path

from jobs.batches.rounds import load_batch
from jobs.store.opening import open_store

ROOT = Path(__file__).parents[2]


def enqueue(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/enqueue.py"), *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_rows_of_a_csv_become_a_batch_and_again_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("sku,name\na-1,Lamp\na-2,Chair\n")
    first, again = enqueue(tmp_path, "products.csv"), enqueue(tmp_path, "products.csv")
    assert (first.returncode, first.stderr) == (0, "")
    assert again.stdout == first.stdout
    batch = load_batch(open_store(str(tmp_path / ".nightpress/store")), first.stdout.strip())
    assert batch is not None
    assert (batch.rows, batch.refused, dict(batch.kinds)) == (2, 0, {"article": 2})


def test_a_fault_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("sku,name\n")
    ended = enqueue(tmp_path, "products.csv")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "no rows" in ended.stderr
    ended = enqueue(tmp_path, "nothing.csv")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
    assert "No such file" in ended.stderr


def test_help_says_what_the_file_holds(tmp_path: Path) -> None:
    shown = enqueue(tmp_path, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "a CSV with the columns sku and name" in shown.stdout
