"""A check of the checks: takes away each guard of the protocol in turn, and sees that some test notices.

    python scripts/mutate.py                     # all of them; about five minutes
    python scripts/mutate.py --only fence        # those whose name holds a word
    python scripts/mutate.py --list

The guards stand in `guards.toml`. Each is taken away in a copy of the tree, never in place, and its tests run there until the
first that fails. Prints a line for each guard: what noticed, or that nobody did. Exit status: 0 each was noticed; 1 one was
not, or its change does not fit the code any more.
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
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
GUARDS: Final = ROOT / "scripts" / "guards.toml"
COPIED: Final = ("jobs", "workers", "scripts", "tests", "pyproject.toml")
LONGEST_S: Final = 300


@dataclass(frozen=True)
class Guard:
    """A guard, and how to take it away: `old` stands once in `file`, and `new` takes its place."""

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def places(self, root: Path) -> int:
        """How often `old` is found."""
        return (root / self.file).read_text().count(self.old)

    def take_away(self, root: Path) -> None:
        """Change the file under `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


def guards() -> list[Guard]:
    """Those of `guards.toml`."""
    return [Guard(**values) for values in tomllib.loads(GUARDS.read_text())["guard"]]


def noticed(guard: Guard) -> str | None:
    """The test that fails without the guard; None when all pass."""
    with tempfile.TemporaryDirectory(prefix="nightpress-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, root / name, ignore=ignored) if source.is_dir() else shutil.copy(source, root)
        guard.take_away(root)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *guard.tests]
        env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                command, cwd=root, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "a test that never ends"
    if ended.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", ended.stdout, flags=re.MULTILINE)
    return failed[1] if failed else f"pytest, with status {ended.returncode}: {ended.stdout[-300:]}"


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
            print(f"{guard.file}: {guard.name}")
            continue
        began = time.monotonic()
        if guard.places(ROOT) != 1:
            found: str | None = None
            said = f"DOES NOT FIT: its text stands {guard.places(ROOT)} times in {guard.file}"
        else:
            found = noticed(guard)
            said = f"noticed by {found}" if found else "NOBODY NOTICED"
        wrong += found is None
        print(f"{guard.name}\n    {said} ({time.monotonic() - began:.0f} s)", flush=True)
    if not args.list:
        print(f"{len(chosen)} guards, {wrong} that nobody noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
