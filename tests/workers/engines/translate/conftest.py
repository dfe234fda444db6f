"""Fixtures for the tests of the translate engine: one torch thread, small random models, and a cache of conversions."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.models import small_translators


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the folder of a small random model, by its name in `small_translators.MODELS`. It is made once."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = small_translators.make(name, tmp_path_factory.mktemp(name))
        return made[name]

    return folder


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
