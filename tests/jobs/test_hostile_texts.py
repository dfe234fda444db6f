"""Shows that no pattern of `jobs/checks`, `jobs/kinds` and `jobs/writing` takes quadratic time on a hostile text."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PARTS: Final = 4
"""The texts are tried in this many parts."""

ROOT = Path(__file__).parents[2]


def tried(*arguments: str) -> tuple[int, str]:
    """Run the program. Returns its status and the last line that it printed."""
    command = [sys.executable, "-m", "tests.support.hostile_texts", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout.splitlines() or [done.stderr])[-1]


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_patterns_and_functions_take_linear_time(part: int) -> None:
    assert tried(f"{part}/{PARTS}") == (0, "all tried")


def test_a_quadratic_pattern_is_found() -> None:
    assert tried("quadratic") == (-signal.SIGVTALRM, "a quadratic pattern on '['")
