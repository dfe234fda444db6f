"""Writes requirements.lock anew: all packages that `make run` installs, with the hashes of their files.

    make lock    # needs uv; after a change of constraints.txt or of the dependencies in pyproject.toml

Further options, such as the index with the CPU build of torch, are given to uv.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.install import LOCK, MODEL, PLATFORM, ROOT

BUILD: Final = "hatchling\neditables\n"
"""What the build of an editable install needs."""

HEAD: Final = f"""\
# The files that `make run` installs on {" ".join(PLATFORM)}: `make lock` writes this from constraints.txt.
# torch is its CPU build. Each file must have one of the hashes (pip install --require-hashes).
"""


def compiled(more: list[str], *words: str, given: str = "") -> str:
    """Return the lock of some requirements, as uv makes it. `more` are further options of uv."""
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--quiet", "-c", "constraints.txt", *more]
    platform = ["--python-version", PLATFORM[-1], "--python-platform", "x86_64-manylinux_2_28"]
    command = [sys.executable, "-m", "uv", "pip", "compile", *options, *platform, *words, "-"]
    return subprocess.run(command, cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Write the lock."""
    extras = ["--extra", "workers", "--extra", "local"]
    product = compiled(sys.argv[1:], "pyproject.toml", *extras, given=BUILD)
    model = compiled(sys.argv[1:], "--no-deps", given=f"{MODEL}\n")
    LOCK.write_text(HEAD + product + model)


if __name__ == "__main__":
    main()
