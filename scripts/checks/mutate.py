"""A check of the checks: takes away each guard of the protocol in turn, and sees that some test notices.

    python scripts/checks/mutate.py                     # all of them; about an hour on 2 cores
    python scripts/checks/mutate.py --only fence        # those whose name holds a word
    python scripts/checks/mutate.py --list

The guards stand in `guards.toml`. Each is taken away in a copy of the tree, never in place, and its tests run there until the
first that fails; before, all of them have to pass in a copy as it is. Prints for each guard, by rule, what noticed, or that
nobody did. Only a test that fails notices: code that cannot be imported or never ends shows nothing of the guard. Exit
status: 0 each was noticed; 1 one was not, or its change does not fit the code any more.
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


@dataclass(frozen=True)
class Guard:
    """A guard, the rule that it keeps, and how to take it away: `old` stands once in `file`, and `new` takes its place."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    @property
    def shown(self) -> str:
        """Its rule and its name."""
        return f"{f'rule {self.rule}' if self.rule.isdigit() else self.rule}: {self.name}"

    def places(self, root: Path) -> int:
        """How often `old` is found."""
        return (root / self.file).read_text().count(self.old)

    def take_away(self, root: Path) -> None:
        """Change the file under `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True)
class Found:
    """What came of one guard."""

    noticed: bool
    said: str


def guards() -> list[Guard]:
    """Those of `guards.toml`: by the number of the rule, then those of no number by what they hold up."""
    found = [Guard(**values) for values in tomllib.loads(GUARDS.read_text())["guard"]]
    return sorted(found, key=lambda guard: (not guard.rule.isdigit(), guard.rule.zfill(2)))


def tried(guard: Guard) -> Found:
    """Take one guard away, and see who notices."""
    if (places := guard.places(ROOT)) != 1:
        return Found(False, f"DOES NOT FIT: its text stands {places} times in {guard.file}")
    before, said = _as_it_is(tuple(guard.tests))
    if before != 0:
        return Found(False, f"SHOWS NOTHING: the tests fail without it, too: {said}")
    status, said = _run(guard.tests, guard)
    if status == 0:
        return Found(False, "NOBODY NOTICED")
    return Found(True, f"noticed by {said}") if status == 1 else Found(False, f"SHOWS NOTHING: {said}")


@cache
def _as_it_is(tests: tuple[str, ...]) -> tuple[int | None, str]:
    """The tests of a guard with nothing taken away."""
    return _run(tests, None)


def _run(tests: Sequence[str], guard: Guard | None) -> tuple[int | None, str]:
    """Run tests until the first that fails, in a copy without the guard. Returns pytest's status, and which test it was.

    The status is None when they did not end in time.
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
            return None, f"a test does not end in {LONGEST_S} s"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", ended.stdout, flags=re.MULTILINE)
    if ended.returncode == 1 and failed:
        return 1, failed[1]
    return ended.returncode, f"pytest, with status {ended.returncode}: {ended.stdout[-300:]}"


def main() -> int:
    """Try the guards. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="only guards whose name or file holds it")
    parser.add_argument("--list", action="store_true", help="name the guards, and try none")
    args = parser.parse_args()
    chosen = [guard for guard in guards() if args.only in guard.name or args.only in guard.file]
    wrong = 0
    for guard in chosen:
        if args.list:
            print(f"{guard.shown} ({guard.file})")
            continue
        began = time.monotonic()
        found = tried(guard)
        wrong += not found.noticed
        print(f"{guard.shown}\n    {found.said} ({time.monotonic() - began:.0f} s)", flush=True)
    if not args.list:
        print(f"{len(chosen)} guards, {wrong} that nobody noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
