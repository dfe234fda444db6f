"""All tests of the causal engine use one torch thread, as its workers do: on a small machine, several fight for the cores."""

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
