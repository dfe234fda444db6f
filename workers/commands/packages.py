"""The packages of the extra `workers` of pyproject.toml. Workers need them; a machine that only submits does not."""

import importlib.util
from typing import Final

PACKAGES: Final = (
    "accelerate",
    "gguf",
    "httpx2",
    "huggingface_hub",
    "llguidance",
    "numba",
    "numpy",
    "prometheus_client",
    "ray",
    "safetensors",
    "sentencepiece",
    "torch",
    "transformers",
)
"""The packages by the names under which Python imports them."""

INSTALL: Final = "pip install 'nightpress[workers]'"
"""The command that installs them, as shown to the user. If Nightpress is installed, pip finds its extra without an index."""


def missing_packages() -> list[str]:
    """Return those of `PACKAGES` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]
