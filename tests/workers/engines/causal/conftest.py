"""All tests of the causal engine use one torch thread, as its workers do; several would fight for the cores of a small machine."""

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
