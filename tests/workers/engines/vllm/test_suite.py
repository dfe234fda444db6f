"""Runs all tests of the engine vllm in its own environment, where there is one."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

from jobs.settings import Settings
from scripts.checks.engines.vllm_suite import ROOT, command
from workers.engines.vllm.environment import found


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="these tests run in that environment already")
@pytest.mark.timeout(1_200)
def test_the_engine_keeps_its_contract_in_its_own_environment() -> None:
    cache = Path(Settings.model_fields["cache_dir"].default)
    environment = found(cache)
    if environment is None:
        pytest.skip(f"there is no environment for vLLM in {cache}: `make test-vllm` makes it")
    done = subprocess.run(command(environment.executable, []), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
