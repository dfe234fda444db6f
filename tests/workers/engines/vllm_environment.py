"""Tests of the engine vllm run in its own environment. Elsewhere they are skipped, with a reason that says what to do."""

import importlib.util

import pytest


def needs_vllm() -> None:
    """Skip the test in an environment without vLLM."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed here: `make test-vllm` runs this test in an environment of its own")
