"""The packages that workers need beside those of a machine that only submits: the extra `workers` of pyproject.toml."""

import importlib.util
from typing import Final

PACKAGES: Final = (
    "accelerate",
    "gguf",
    "huggingface_hub",
    "numba",
    "numpy",
    "prometheus_client",
    "ray",
    "torch",
    "transformers",
)
"""The packages by the names under which Python imports them."""

INSTALL: Final = "pip install 'nightpress[workers]'"
"""The command that installs them; shown to the user. Where Nightpress is installed, pip needs no index to know it."""


def missing_packages() -> list[str]:
    """Return those of `PACKAGES` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]
