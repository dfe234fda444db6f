"""Runs the tests of the engine vllm in the environment that `nightpress models env vllm` has made.

    python scripts/checks/engines/vllm_suite.py [arguments of pytest]

They cannot run beside the others: vLLM needs other versions of torch and transformers, and looks at all that its process has
imported. The environment gets what the tests need, once. The script ends with the status of pytest.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.settings import load
from workers.engines.vllm.environment import REMEDY, found

ROOT: Final = Path(__file__).parents[3]
TESTS: Final = ("tests/workers/engines/vllm", "tests/workers/engines/test_contract.py")
ONLY: Final = "vllm"
"""The tests with this word in their names: all of the folder, and of the contract those of this engine."""


NEEDED: Final = ("fakeredis", "hypothesis", "psutil", "pytest", "pytest-timeout", "pytest-xdist")
"""Packages of the group `test` that these tests import."""


def command(python: Path, more: Sequence[str]) -> list[str]:
    """Return the call of pytest. vLLM and its libraries warn of much that is not ours, so warnings are no errors here."""
    plain = ["-o", "filterwarnings=default", "-p", "no:cacheprovider"]
    return [str(python), "-m", "pytest", "-q", *TESTS, "-k", ONLY, *plain, *more]


def needed() -> list[str]:
    """Return what these tests need, as pyproject.toml asks for it. Others of the group would change packages of the product."""
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["test"]
    return [one for one in group if re.split(r"[^A-Za-z0-9_-]", one)[0] in NEEDED]


def main() -> None:
    """Run the tests."""
    environment = found(load().cache_dir)
    if environment is None:
        sys.exit(f"there is no environment for vLLM here: {REMEDY}")
    python = environment.executable
    asked = [str(python), "-c", "import pytest, xdist, hypothesis, fakeredis"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        print("installing what tests need", file=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "-q", "install", *needed()], cwd=ROOT, check=True)
    sys.exit(subprocess.run(command(python, sys.argv[1:]), cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
