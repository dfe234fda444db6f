"""Runs `scripts/checks/intake_memory.py` on a small file of each format, and shows that it notices a wrong row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.batches.batch import BatchPaths
from jobs.store.opening import open_store
from scripts.checks import intake_memory as check_intake

SCRIPT = Path(check_intake.__file__)


@pytest.mark.parametrize("form", ["jsonl", "csv", "openai"])
def test_each_duplicate_is_found_and_nothing_else(tmp_path: Path, form: str) -> None:
    command = [sys.executable, str(SCRIPT), "--bytes", "1e6", "--form", form, "--ids", "scattered"]
    ran = subprocess.run(
        [*command, "--folder", str(tmp_path), "--json", str(tmp_path / "found.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["rows"], found["refused"], found["wrong"]) == (10_000, 10, 0)
    assert 10e6 < found["peak_bytes"] < check_intake.LIMIT_BYTES


def test_a_duplicate_that_is_not_found_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(check_intake.rows_of("jsonl", "ordered", 400_000)))
    url = str(tmp_path / "store")
    found = check_intake.taken_in(path, url)
    assert check_intake.wrong_rows(url, found["batch"], found["rows"], 1) == []
    store, paths = open_store(url), BatchPaths(found["batch"])
    store.delete(paths.segment(store.list(paths.segments)[0]))
    assert len(check_intake.wrong_rows(url, found["batch"], found["rows"], 1)) == 4


def test_each_row_has_row_bytes_bytes() -> None:
    for form in ("jsonl", "csv", "openai"):
        lines = list(check_intake.rows_of(form, "scattered", 100_000))
        assert {len(line) for line in lines[1:]} == {check_intake.ROW_BYTES}
