"""The environment that the engine `vllm` runs in: a folder with a Python of its own, which `nightpress models env vllm` makes.

vLLM pins torch and transformers, so it shares no environment with the other engines. A worker whose model runs on vLLM is
started by that environment's Python. What passes between the two is pickled, so their Python must be of the same minor version,
and their Ray of the same version. A record in the folder says what it holds. This module imports nothing heavy.
"""

import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from jobs.catalog import ModelCard
from workers.engines.vllm.version import installed, why_unfit

REMEDY: Final = "nightpress models env vllm"
"""The command that makes the environment."""

RECORD: Final = "nightpress-environment.json"
"""The name of the record, in the environment's folder. It is written last: without it, an environment is not ready."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment with vLLM, as its record describes it.

    Args:
        folder: Its folder.
        python: The version of its Python, such as `3.11.7`.
        ray: The version of its Ray.
        vllm: The version of its vLLM.
        architectures: The names of the networks that its vLLM knows, as in `architectures` of a model's config.json.
    """

    folder: Path
    python: str
    ray: str
    vllm: str
    architectures: frozenset[str]

    @property
    def executable(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"

    def why_unfit(self) -> str | None:
        """Return why workers of this process cannot run in it; None if they can."""
        ours = platform.python_version()
        if self.python.split(".")[:2] != ours.split(".")[:2]:
            return f"its Python is {self.python}, and that of this command is {ours}"
        if self.ray != (installed_ray := _version_of("ray")):
            return f"its Ray is {self.ray}, and that of this command is {installed_ray}"
        return why_unfit(self.vllm)

    def write(self) -> None:
        """Write the record."""
        values = {**asdict(self), "folder": None, "architectures": sorted(self.architectures)}
        (self.folder / RECORD).write_text(json.dumps(values, indent=1) + "\n")


def folder_in(cache_dir: Path) -> Path:
    """Return the folder of the environment in a folder of settings (`cache_dir`). It must be the same on all nodes."""
    return cache_dir.expanduser().absolute() / "environments" / "vllm"


def found(cache_dir: Path) -> Environment | None:
    """Return the environment of this machine; None if there is none."""
    return read(folder_in(cache_dir))


def of_this_process() -> Environment | None:
    """Return the environment that this process runs in, if it has vLLM; None if it has not."""
    if (vllm := installed()) is None:
        return None
    recorded = read(Path(sys.prefix))
    known = recorded.architectures if recorded is not None else frozenset[str]()
    return Environment(Path(sys.prefix), platform.python_version(), _version_of("ray"), vllm, known)


def read(folder: Path) -> Environment | None:
    """Return the environment in a folder; None if there is none that is ready."""
    try:
        values: dict[str, Any] = json.loads((folder / RECORD).read_text())
        python, ray, vllm = (str(values[name]) for name in ("python", "ray", "vllm"))
        return Environment(folder, python, ray, vllm, frozenset(map(str, values["architectures"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def why_not(card: ModelCard, folder: Path, environment: Environment | None) -> str | None:
    """Return why a model whose card leaves the engine open does not run on vLLM, on a machine with GPUs; None if it does.

    `folder` has the model's files.
    """
    if environment is None:
        return f"there is no environment for vLLM here: {REMEDY}"
    if reason := environment.why_unfit():
        return f"the environment for vLLM does not fit: {reason}"
    if card.options:
        return "its options are those of the engine causal"
    try:
        named = json.loads((folder / "config.json").read_text()).get("architectures") or []
    except (OSError, ValueError, AttributeError):
        named = []
    if not environment.architectures & set(named):
        return f"vLLM {environment.vllm} does not know {', '.join(map(str, named)) or 'its architecture'}"
    return None


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
