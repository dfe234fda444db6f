"""Runs a very short night of `scripts/bench/scale.py`, and tests the table that it prints."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.scale import FIGURES, merged, table

SCRIPT = Path(__file__).parents[3] / "scripts" / "bench" / "scale.py"


@pytest.mark.faults
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_a_night_yields_every_figure(tmp_path: Path) -> None:
    results = tmp_path / "scale.jsonl"
    size = ["--rows", "100", "--window", "50", "--workers", "5", "--row-bytes", "300"]
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *size, "--results", str(results)],
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    (found,) = map(json.loads, results.read_text().splitlines())
    assert all(found[name] > 0 for name, _, _ in FIGURES)
    assert all(called in ended.stdout for _, called, _ in FIGURES)


def test_phases_that_were_measured_apart_share_a_column() -> None:
    many = {"rows": 1_000_000, "row_bytes": 2048, "segments": 1}
    lines = [
        {"rows": 20, "row_bytes": 2048, "segments": 3},
        many,
        {"rows": 20, "row_bytes": 2048, "segments": 4, "intake_mb": 7},
        {**many, "row_bytes": 256},
    ]
    column = {"rows": 20, "row_bytes": 2048, "segments": 4, "intake_mb": 7}
    assert merged(lines) == [column, {**many, "row_bytes": 256}, many]
    printed = table(merged(lines)).splitlines()
    assert len(printed) == 2 + len(FIGURES)
    assert printed[0].split() == ["rows", "20", "1,000,000", "1,000,000"]
    assert printed[1].split() == ["bytes", "a", "row", "2,048", "256", "2,048"]
    assert printed[4].split() == ["intake,", "MB", "7", "-", "-"]
    assert all(len(line) <= 80 for line in printed)
