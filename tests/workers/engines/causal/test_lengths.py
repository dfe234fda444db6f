"""Shows that no text depends on the lengths of other texts in its step, in models that choose by the longest position of a
call.
"""

import functools
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
import transformers
from structlog.testing import capture_logs

from jobs.generation import GenerationRequest, SamplingParams
from tests.workers.engines.architectures import CONTEXT, GROUPED, SIZES, VOCABULARY, Numbers
from tests.workers.engines.causal.runtime.recorders import RerunRecorder
from tests.workers.engines.causal.small_engines import (
    before_each_step,
    completions,
    generate_alone,
    random_model,
    request_of,
    slot_engine,
)
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.causal.probe import Unfit, prepare_for_slots, why_alone
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import Placement
from workers.engines.protocol import Engine

BOUNDARY = 40
LONGROPE: dict[str, Any] = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "original_max_position_embeddings": BOUNDARY,
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [1.5, 3.0, 6.0, 12.0],
}
STATIC: dict[str, dict[str, Any]] = {
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": BOUNDARY},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": BOUNDARY,
    },
}
ROPES: dict[str, tuple[str, dict[str, Any]]] = {
    "phi3 longrope": ("Phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": BOUNDARY}),
    "phimoe longrope": (
        "Phimoe",
        {
            "rope_parameters": {**LONGROPE, "short_mscale": 1.1, "long_mscale": 1.4},
            "original_max_position_embeddings": BOUNDARY,
            "num_local_experts": 2,
        },
    ),
    "llama longrope": ("Llama", {"rope_parameters": LONGROPE}),
    "llama dynamic": ("Llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0}}),
    **{
        f"llama {name}": ("Llama", {"rope_parameters": {"rope_theta": 10_000.0, **one}}) for name, one in STATIC.items()
    },
}
SWITCHING = [name for name in ROPES if "longrope" in name]
MIXED = {
    "short": (5, 12),
    "other short": (9, 20),
    "fills it": (29, 12),
    "crosses": (30, 30),
    "crosses early": (39, 12),
    "at the boundary": (BOUNDARY, 12),
    "just long": (BOUNDARY + 1, 12),
    "long": (90, 20),
}
"""Name -> the number of tokens of a prompt, and of its completion. All prompts begin in the same way."""


def model_of(name: str) -> CausalModel:
    prefix, given = ROPES[name]
    config_class = getattr(transformers, f"{prefix}Config")
    config = config_class(
        vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=0, **{**SIZES, **GROUPED, **given}
    )
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    return wrap_model(network, Numbers(), Placement(torch.device("cpu"), torch.float32, "cpu"))


def requests() -> list[GenerationRequest]:
    """Return requests for texts that stay below the boundary, that cross it, and that begin beyond it. Each text has all its
    tokens.
    """
    return [
        request_of(
            name,
            [3 + (7 * n * n + 5 * n) % 57 for n in range(size)],
            SamplingParams(max_tokens=tokens, temperature=0.0, seed=1, logit_bias={2: -100.0}),
        )
        for name, (size, tokens) in MIXED.items()
    ]


@functools.cache
def texts_alone(name: str) -> dict[str, str]:
    """Return the text of each request as `generate` writes it alone, with a new model."""
    alone = {}
    for request in requests():
        network = model_of(name).network
        network.generation_config.suppress_tokens = [2]
        alone[request.request_id] = generate_alone(network, request)
    return alone


def texts(engine: Engine) -> dict[str, str]:
    return {name: one.text for name, one in completions(engine, *requests()).items()}


@pytest.mark.parametrize("name", ROPES)
@pytest.mark.parametrize("step_tokens", [512, 7], ids=["whole prompts", "chunks"])
def test_texts_in_slots_are_those_of_generate_alone(name: str, step_tokens: int) -> None:
    engine = build_engine("tiny", model_of(name), CausalOptions(cache_bytes=1 << 22, step_tokens=step_tokens), slots=4)
    assert isinstance(engine, SlotEngine)
    assert texts(engine) == texts_alone(name)


@pytest.mark.parametrize("name", ROPES)
def test_texts_in_padded_batches_are_those_of_generate_alone(name: str) -> None:
    engine = build_engine("tiny", model_of(name), CausalOptions(padded=True), slots=8)
    assert texts(engine) == texts_alone(name)
    assert engine.stats().slots == 8
    assert engine.stats().steps < len(MIXED), "some of them share a batch"


@pytest.mark.parametrize("name", SWITCHING)
def test_replayed_steps_choose_by_text_too(name: str) -> None:
    recorder = RerunRecorder()
    engine = slot_engine(model_of(name), recorder=recorder)
    assert texts(engine) == texts_alone(name)
    assert recorder.replayed > 0


@pytest.mark.parametrize("name", SWITCHING)
def test_texts_whose_slots_are_lost_go_on_as_before(name: str) -> None:
    """The tokens of these texts are computed again, each with the positions that it had before."""
    model, calls = model_of(name), [0]
    engine = slot_engine(model)

    def fails_once(_ids: torch.Tensor) -> None:
        calls[0] += 1
        if calls[0] == 25:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with before_each_step(model, fails_once):
        assert texts(engine) == texts_alone(name)
    assert engine.stats().slots == 2


@pytest.mark.parametrize("name", SWITCHING)
def test_a_prefix_is_shared_within_one_side_of_the_boundary_only(name: str) -> None:
    engine = slot_engine(model_of(name), slots=1)
    tokens, few = [3 + n % 50 for n in range(100)], SamplingParams(max_tokens=8, temperature=0.0, seed=1)
    cached = [
        completions(engine, request_of(str(n), tokens[:size], few))[str(n)].cached_prompt_tokens
        for n, size in enumerate((20, 60, 30, 20, 70, 80))
    ]
    assert cached[:3] == [0, 0, 0], "each is of the other side than the one before it"
    assert cached[3:] == [19, 0, 70]


def lengthened(network: Any) -> None:
    """Scale the rotary positions by the longest position of a call, in code that is not known to depend on it."""

    def scale(_module: object, inputs: tuple[Any, ...], given: dict[str, Any], out: tuple[torch.Tensor, ...]) -> Any:
        positions = given.get("position_ids", inputs[-1])
        return tuple(one * 1.5 for one in out) if positions.max() >= BOUNDARY else out

    network.model.rotary_emb.register_forward_hook(scale, with_kwargs=True)


def test_the_trial_sees_unknown_code_that_depends_on_the_longest_position() -> None:
    model = model_of("llama yarn")
    lengthened(model.network)
    with pytest.raises(Unfit, match=f"depend on the longest position of a step, below {BOUNDARY} or beyond"):
        prepare_for_slots(model)
    assert "longest position" in str(why_alone(model))


def test_a_model_with_such_code_writes_each_text_alone() -> None:
    model = model_of("llama yarn")
    lengthened(model.network)
    expected = {}
    for request in requests():
        model.network.generation_config.suppress_tokens = [2]
        expected[request.request_id] = generate_alone(model.network, request)
    model.network.generation_config.suppress_tokens = None
    with capture_logs() as logs:
        engine = build_engine("tiny", model, CausalOptions(), slots=8)
    assert isinstance(engine, PaddedEngine)
    assert [one["event"] for one in logs] == ["engine.padded", "engine.alone"]
    assert texts(engine) == expected


def test_the_trial_sees_a_sliding_window_that_attention_is_not_told_of() -> None:
    """The model's own masks have the window, but its layers do not name it. The window is longer than the prompts of
    the trial.
    """

    class Untold:
        sliding_window = None

        def __init__(self, config: Any) -> None:
            self._config = config

        def __getattr__(self, name: str) -> Any:
            return getattr(self._config, name)

    model = random_model("mistral")
    model.network.config.sliding_window = 64
    prepare_for_slots(model)
    assert model.network.config.sliding_window == 64
    for layer in model.network.model.layers:
        layer.self_attn.config = Untold(model.network.config)
    with pytest.raises(Unfit, match="its logits in slots differ"):
        prepare_for_slots(model)
    assert model.network.config.sliding_window == 64


def test_a_model_that_cannot_say_how_a_text_goes_on_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("phi3 longrope")
    monkeypatch.setattr(model.network, "prepare_inputs_for_generation", lambda *_, **__: 1 / 0)
    with pytest.raises(Unfit, match="how a text goes on after 40 tokens: ZeroDivisionError"):
        prepare_for_slots(model)
    assert PaddedEngine(model, slots=8).stats().slots == 1


def test_switches_at_several_lengths_run_alone() -> None:
    model = model_of("phi3 longrope")
    other: Any = torch.nn.Module()
    other.rope_type = {"full": "longrope"}
    other.config = type("Config", (), {"rope_parameters": {"full": {"original_max_position_embeddings": 50}}})
    model.network.add_module("other", other)
    with pytest.raises(Unfit, match="at several lengths"):
        prepare_for_slots(model)
    assert "at several lengths" in str(why_alone(model))
    assert PaddedEngine(model, slots=8).stats().slots == 1


def test_dynamic_positions_within_reach_run_in_padded_batches_of_short_texts() -> None:
    """Texts of this model may be longer than its `max_position_embeddings`. The longest text of an earlier batch changes no
    later text.
    """

    def long_model() -> CausalModel:
        model = model_of("llama dynamic")
        model.network.config.max_position_embeddings = CONTEXT
        rotary = model.network.model.rotary_emb
        rotary.max_seq_len_cached = rotary.original_max_seq_len = BOUNDARY
        return replace(model, encoder=replace(model.encoder, context=CONTEXT))

    expected = {}
    for request in requests():
        network = long_model().network
        network.generation_config.suppress_tokens = [2]
        expected[request.request_id] = generate_alone(network, request)
    engine = build_engine("tiny", long_model(), CausalOptions(), slots=8)
    assert isinstance(engine, PaddedEngine)
    assert engine.stats().slots == 8
    assert texts(engine) == expected


@pytest.mark.parametrize(("name", "alone"), [("mamba", False), ("bloom", False), ("gpt_oss", False), ("rwkv", True)])
def test_a_model_that_padding_changes_runs_alone(name: str, *, alone: bool) -> None:
    with capture_logs() as logs:
        engine = build_engine("tiny", random_model(name), CausalOptions(padded=True), slots=8)
    assert engine.stats().slots == (1 if alone else 8)
    assert ["padding changes" in one["reason"] for one in logs] == [True] * alone
