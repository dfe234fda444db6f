"""Runs `scripts/bench/fleet/busy.py` with few workers, for a moment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "scripts" / "bench" / "fleet" / "busy.py"
FEW = ("--workers=8", "--slots=4", "--row-s=1", "--seconds=1", "--processes=2", "--batches=4", "--tenants=2")


@pytest.mark.faults
def test_few_busy_workers_are_measured(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *FEW, "--json", str(tmp_path / "found.json")],
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "server: claim" in ended.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rows_s"] == pytest.approx(8 * 4 / 1, rel=0.5), "each slot finishes a row a second"
    assert set(found["server_ms"]) >= {"claim", "settle"}
    assert len(found["answer_ms"]) <= len(found["server_ms"]["claim"])
