"""Checks the tests: removes each guard of the protocol in turn, and requires that a test fails.

    python scripts/checks/mutate.py                     # all guards; about an hour on 2 cores
    python scripts/checks/mutate.py --only fence        # guards whose name or file holds this word
    python scripts/checks/mutate.py --list

The guards are listed in `guards.toml`. First, a guard's tests must all pass in an unchanged copy of the tree. Then the guard is
removed in another copy, and the tests run in that copy until one fails. The tree itself is never changed. For each guard, in the
order of the rules, the script prints the test that noticed, or that no test noticed. Only a failing test counts: code that cannot
be imported, or tests that do not end, show nothing about the guard.

Exit status: 0 if for each guard a test noticed that the guard was missing; 1 if for some guard no test did, or if the change that
removes a guard does not fit the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
GUARDS: Final = ROOT / "scripts" / "checks" / "guards.toml"
COPIED: Final = ("jobs", "workers", "scripts", "tests", "pyproject.toml")
LONGEST_S: Final = 300
"""Seconds that the tests of one guard may take. Tests that take longer count as tests that did not notice."""


@dataclass(frozen=True)
class Guard:
    """A guard, the rule that it keeps, and the change that removes it: `old`, which stands once in `file`, becomes `new`.

    `tests` are the tests that must notice the change.
    """

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    @property
    def title(self) -> str:
        """The rule and the name of the guard."""
        return f"{f'rule {self.rule}' if self.rule.isdigit() else self.rule}: {self.name}"

    def places(self, root: Path) -> int:
        """Return how often `old` stands in the file."""
        return (root / self.file).read_text().count(self.old)

    def take_away(self, root: Path) -> None:
        """Replace `old` by `new` in the file under `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True)
class Found:
    """Whether a test noticed that a guard was missing, and what is printed about the guard."""

    noticed: bool
    message: str


def guards() -> list[Guard]:
    """Return the guards of `guards.toml`, in the order of their rules' numbers. Guards whose rule is a word come last."""
    found = [Guard(**values) for values in tomllib.loads(GUARDS.read_text())["guard"]]
    return sorted(found, key=lambda guard: (not guard.rule.isdigit(), guard.rule.zfill(2)))


def tried(guard: Guard) -> Found:
    """Remove one guard, and run its tests. Returns whether a test noticed, and the message to print."""
    if (places := guard.places(ROOT)) != 1:
        return Found(False, f"DOES NOT FIT: its text stands {places} times in {guard.file}")
    before, failure = _unchanged(tuple(guard.tests))
    if before != 0:
        return Found(False, f"SHOWS NOTHING: the tests fail in unchanged code, too: {failure}")
    status, failure = _run(guard.tests, guard)
    if status == 0:
        return Found(False, "NO TEST NOTICED")
    return Found(True, f"noticed by {failure}") if status == 1 else Found(False, f"SHOWS NOTHING: {failure}")


@cache
def _unchanged(tests: tuple[str, ...]) -> tuple[int | None, str]:
    """Run the tests of a guard in a copy with all guards in place. Returns the two values of `_run`."""
    return _run(tests, None)


def _run(tests: Sequence[str], guard: Guard | None) -> tuple[int | None, str]:
    """Run tests in a copy of the tree without the guard (None: with all guards), until one fails.

    Returns two values: pytest's status, which is None if the tests did not end within LONGEST_S seconds, and the name of the
    failed test. If no test failed, the second value is a message that says how the tests ended.
    """
    with tempfile.TemporaryDirectory(prefix="nightpress-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, root / name, ignore=ignored) if source.is_dir() else shutil.copy(source, root)
        if guard is not None:
            guard.take_away(root)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
        env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                command, cwd=root, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"the tests do not end in {LONGEST_S} s"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", ended.stdout, flags=re.MULTILINE)
    if ended.returncode == 1 and failed:
        return 1, failed[1]
    return ended.returncode, f"pytest ended with status {ended.returncode}: {(ended.stdout + ended.stderr)[-300:]}"


def main() -> int:
    """Remove each chosen guard in turn, and print whether a test noticed. Returns 0 if all were noticed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="only guards whose name or file holds this word")
    parser.add_argument("--list", action="store_true", help="list the guards, and try none")
    args = parser.parse_args()
    chosen = [guard for guard in guards() if args.only in guard.name or args.only in guard.file]
    wrong = 0
    for guard in chosen:
        if args.list:
            print(f"{guard.title} ({guard.file})")
            continue
        began = time.monotonic()
        found = tried(guard)
        wrong += not found.noticed
        print(f"{guard.title}\n    {found.message} ({time.monotonic() - began:.0f} s)", flush=True)
    if not args.list:
        print(f"{len(chosen)} guards, {wrong} that no test noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
