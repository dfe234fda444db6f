"""Fixtures for the tests of the causal engine: one torch thread, and a small random model."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from workers.engines.causal.model import CausalModel


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Use one thread, as a worker does. On a small machine, several threads would fight for the cores."""
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def llama() -> "CausalModel":
    from tests.workers.engines.causal.small_engines import random_model

    return random_model()
