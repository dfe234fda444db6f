"""A small model on vLLM for all tests of this folder. It is loaded once, since that takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalog import ModelCard
from tests.workers.engines.vllm_environment import needs_vllm
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine


@pytest.fixture(scope="session")
def vllm_engine(tiny_model_of_vllm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with 4 slots, whose steps compute no more tokens than a context holds."""
    needs_vllm()
    options = {"cache_bytes": 1 << 24, "step_tokens": 96}
    card = ModelCard(
        engine="vllm", source=str(tiny_model_of_vllm), dtype="float32", device="cpu", slots=4, options=options
    )
    engine = make_engine("tiny", card, tmp_path_factory.mktemp("cache"))
    yield engine
    engine.close()
