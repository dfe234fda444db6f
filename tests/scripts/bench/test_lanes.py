"""Runs `scripts/bench/lanes.py` on few jobs, without peers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "bench" / "lanes.py"


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *args], text=True, capture_output=True, timeout=120, check=False
    )


@pytest.mark.faults
def test_nightpress_alone_is_measured_and_its_table_fits_a_terminal(tmp_path: Path) -> None:
    ended = bench("--jobs", "100", "--turns", "1", "--json", str(tmp_path / "found.json"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    figures = json.loads((tmp_path / "found.json").read_text())["medians"]["nightpress"]
    rates = {"64", "1", "enq/s", "whole 64", "whole 1", "whole enq/s", "worker 64"}
    assert rates | {"p99", "cpu", "bytes", "stored", "rounded"} == set(figures)
    assert all(figures[name] > 0 for name in rates | {"p99"})


def test_an_unknown_peer_is_reported_in_one_line() -> None:
    ended = bench("--with", "rabbit")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "celery" in ended.stderr
