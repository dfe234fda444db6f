"""Shows workers/engines/causal/masks.py in both engines: schemas constrain some rows of a batch, and no others."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import numpy as np
import torch

from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from jobs.writing.structured.schemas import faults
from tests.workers.engines.causal.runtime.recorders import RerunRecorder
from tests.workers.engines.causal.small_engines import before_each_step, completions
from tests.workers.engines.chat_families import network_for
from tests.workers.engines.reasoners import NetworkWriter, tokenizer_of
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.causal.masks import MaskMaker, _banned, apply_masks
from workers.engines.causal.model import CausalModel
from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.device.placement import Placement
from workers.engines.protocol import Engine
from workers.engines.text.grammar import Grammars

SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["happy", "sad"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "born": {"type": "string", "format": "date"},
    },
    "required": ["mood", "age", "born"],
    "additionalProperties": False,
}
OTHER = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}
PARAMS = SamplingParams(max_tokens=250, temperature=1.0, seed=3)


@pytest.fixture(scope="module")
def model() -> CausalModel:
    """A random network whose tokens are bytes."""
    tokenizer = tokenizer_of("none")
    torch.manual_seed(0)
    return wrap_model(network_for(tokenizer), tokenizer, Placement(torch.device("cpu"), torch.float32, "cpu"))


@pytest.fixture(params=["slots", "padded"])
def engine(request: pytest.FixtureRequest, model: CausalModel) -> Iterator[Engine]:
    """An engine with four slots, and the padded engine."""
    options = CausalOptions(padded=request.param == "padded", cache_bytes=1 << 26, step_tokens=64)
    made = build_engine("tiny", model, options, slots=4)
    yield made
    made.close()


def ask(
    name: str, schema: Any = None, params: SamplingParams = PARAMS, text: str = "Who are you?"
) -> GenerationRequest:
    params = replace(params, seed=(params.seed or 0) + int(name.strip("abcdefghijklmnopqrstuvwxyz") or 0))
    return GenerationRequest(name, Prompt(text=text, params=params, schema=schema))


def keeps(completion: Completion, schema: Any) -> bool:
    return completion.finish_reason == "stop" and faults(schema, json.loads(completion.text)) == []


def test_rows_with_and_without_schemas_share_a_batch(engine: Engine) -> None:
    """A random model writes noise. With a schema it cannot but keep the schema, and the other rows stay as they are."""
    short = replace(PARAMS, max_tokens=20)
    free = {name: one.text for name, one in completions(engine, *(ask(f"f{n}", None, short) for n in range(4))).items()}
    mixed = [ask(f"s{n}", SCHEMA) for n in range(4)] + [ask(f"o{n}", OTHER) for n in range(3)]
    done = completions(engine, *mixed, *(ask(f"f{n}", None, short) for n in range(4)))
    assert {name: one.text for name, one in done.items() if name.startswith("f")} == free
    assert all(keeps(done[f"s{n}"], SCHEMA) for n in range(4))
    assert all(keeps(done[f"o{n}"], OTHER) for n in range(3))
    assert len({done[f"s{n}"].text for n in range(4)}) == 4, "seeds still decide"
    assert {name[0]: one.constraint for name, one in done.items()} == {"s": "full", "o": "full", "f": None}


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"temperature": 0.0}, id="greedy"),
        pytest.param({"top_k": 1}, id="top_k"),
        pytest.param({"top_p": 0.1, "min_p": 0.9}, id="filters"),
        pytest.param({"repetition_penalty": 1.5, "presence_penalty": 2.0, "frequency_penalty": -2.0}, id="penalties"),
        pytest.param({"logit_bias": {0: 100.0, 50: 100.0, 90: -100.0}}, id="biases"),
        pytest.param({"min_tokens": 240}, id="min_tokens"),
        pytest.param({"logprobs": 3}, id="logprobs"),
    ],
)
def test_the_schema_holds_with_all_sampling_params(engine: Engine, params: dict[str, Any]) -> None:
    done = completions(engine, ask("a1", SCHEMA, replace(PARAMS, **params)), ask("b2", SCHEMA))
    assert all(keeps(one, SCHEMA) for one in done.values())
    if "logprobs" in params:
        assert len(done["a1"].logprobs) == done["a1"].completion_tokens
        assert all(one.logprob < 0 for one in done["a1"].logprobs), "those of the model, before the schema"


def test_a_text_does_not_depend_on_its_neighbours(engine: Engine) -> None:
    alone = completions(engine, ask("a1", SCHEMA))["a1"].text
    assert completions(engine, *(ask(f"a{n}", SCHEMA if n % 2 else OTHER) for n in range(6)))["a1"].text == alone


def test_a_stop_text_still_ends_a_text(engine: Engine) -> None:
    done = completions(engine, ask("a1", SCHEMA, replace(PARAMS, stop=('"age"',))))["a1"]
    assert done.finish_reason == "stop"
    assert done.text.startswith("{")
    assert '"age"' not in done.text


def test_max_tokens_cuts_a_text(engine: Engine) -> None:
    done = completions(engine, ask("a1", SCHEMA, replace(PARAMS, max_tokens=5)))["a1"]
    assert (done.finish_reason, done.completion_tokens, done.constraint) == ("length", 5, "full")


def test_a_schema_that_cannot_be_forced_leaves_the_text_free(engine: Engine) -> None:
    short = replace(PARAMS, max_tokens=20)
    done = completions(engine, ask("a1", {"$ref": "#"}, short), ask("b1", None, short), ask("c1", SCHEMA))
    assert (done["a1"].text, done["a1"].constraint) == (done["b1"].text, "none")
    assert keeps(done["c1"], SCHEMA)


def test_what_is_not_forced_is_said(engine: Engine) -> None:
    schema = {**OTHER, "uniqueItems": True}
    assert completions(engine, ask("a1", schema))["a1"].constraint == "partial"


@pytest.mark.parametrize("padded", [False, True], ids=["slots", "padded"])
@pytest.mark.parametrize("name", ["opened", "qwen3", "special", "harmony"])
def test_only_the_answer_after_the_thoughts_is_constrained(name: str, padded: bool) -> None:
    """The network would write the given text. It writes its thoughts freely, and JSON instead of the prose after them."""
    writer = NetworkWriter(name, padded=padded)
    thoughts = {
        "opened": "Hm, {1}.</think>",
        "qwen3": "<think>Hm, {1}.</think>",
        "special": "Hm, {1}.</think>",
        "harmony": "<|channel|>analysis<|message|>Hm, {1}.<|end|><|start|>assistant<|channel|>final<|message|>",
    }[name]
    writer._script = writer.tokens(thoughts + "Sure, here you are.", ends=True)
    prompt = Prompt(
        messages=(Message("user", "hi"),), schema=OTHER, params=SamplingParams(max_tokens=200, temperature=0.0, seed=1)
    )
    writer.engine.submit(GenerationRequest("r", prompt))
    done: list[Completion] = []
    while not done:
        done += writer.engine.step()
    assert done[0].reasoning == "Hm, {1}."
    assert faults(OTHER, json.loads(done[0].text)) == []
    assert done[0].constraint == "full"


def test_texts_whose_slots_are_lost_go_on_as_before(model: CausalModel) -> None:
    """If a step runs out of memory, the sequences are computed again, and their masks stay those of their tokens."""
    engine = build_engine("tiny", model, CausalOptions(cache_bytes=1 << 26), slots=4)
    wanted = {name: one.text for name, one in completions(engine, *(ask(f"a{n}", SCHEMA) for n in range(4))).items()}
    steps = 0

    def fails_once(_ids: torch.Tensor) -> None:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise torch.OutOfMemoryError

    with before_each_step(model, fails_once):
        done = completions(engine, *(ask(f"a{n}", SCHEMA) for n in range(4)))
    assert steps > 9
    assert {name: one.text for name, one in done.items()} == wanted
    engine.close()


def test_replayed_steps_give_the_same_texts(model: CausalModel) -> None:
    """With recorded steps the next step is launched before its masks are made, as on a GPU."""
    options, requests = CausalOptions(cache_bytes=1 << 26), [ask(f"a{n}", SCHEMA if n % 2 else None) for n in range(4)]
    found = []
    for recorder in (None, RerunRecorder()):
        engine = build_engine("tiny", model, options, slots=4, recorder=recorder)
        found.append({name: one.text for name, one in completions(engine, *requests).items()})
        engine.close()
    assert found[0] == found[1]
    assert faults(SCHEMA, json.loads(found[1]["a1"])) == []


def test_other_texts_go_on_while_a_grammar_is_made(model: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sequence waits for its grammar without a slot. It can be cancelled meanwhile."""
    may_go_on = threading.Event()
    make = Grammars.of

    def slow(grammars: Grammars, schema: Any) -> Any:
        may_go_on.wait(60)
        return make(grammars, schema)

    monkeypatch.setattr(Grammars, "of", slow)
    engine = build_engine("tiny", model, CausalOptions(cache_bytes=1 << 26), slots=4)
    engine.submit(ask("s1", SCHEMA))
    engine.submit(ask("c1", SCHEMA))
    done = completions(engine, ask("f1", None, replace(PARAMS, max_tokens=3)))
    assert set(done) == {"f1"}
    assert (engine.stats().waiting, engine.stats().running) == (2, 0)
    engine.cancel("c1")
    assert [(one.request_id, one.finish_reason) for one in engine.step()] == [("c1", "cancelled")]
    may_go_on.set()
    last: list[Completion] = []
    while not last:
        last += engine.step()
    assert keeps(last[0], SCHEMA)
    assert engine.stats().waiting == 0
    engine.close()


def test_a_grammar_that_takes_too_long_leaves_the_text_free(
    model: CausalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    monkeypatch.setattr(Grammars, "of", lambda *_: may_go_on.wait(60))
    maker = MaskMaker(Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos), on_cpu=True, grammar_s=0)
    mask = maker.begin(SCHEMA, None)
    assert mask.is_ready
    maker.follow([(mask, [])])
    assert (mask.allowed(), mask.constraint) == (None, "none")
    may_go_on.set()
    maker.close()


def test_a_grammar_that_fails_in_a_text_leaves_the_rest_free(model: CausalModel) -> None:
    """A token that the schema does not allow, such as one of a stop list of another engine, ends the constraint and no more."""
    maker = MaskMaker(Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos), on_cpu=True)
    mask = maker.begin(SCHEMA, None)
    maker.follow([(mask, [])])
    assert mask.allowed() is not None
    wrong = model.encoder.tokenizer("x", add_special_tokens=False)["input_ids"]
    maker.follow([(mask, wrong)])
    assert mask.allowed() is None
    assert mask.constraint == "none"
    maker.follow([(mask, [*wrong, *wrong])])
    assert mask.allowed() is None
    maker.close()


def test_masks_of_some_rows(model: CausalModel) -> None:
    """Rows without a mask keep their logits, and a vocabulary that is larger than the tokenizer's has no tokens beyond it."""
    size = model.encoder.vocabulary + 5
    maker = MaskMaker(Grammars(model.encoder.tokenizer, size, model.eos), on_cpu=True)
    mask = maker.begin({"enum": ["a"]}, None)
    maker.follow([(mask, [])])
    logits = torch.zeros(3, size)
    apply_masks(logits, [None, mask, None])
    assert (logits[[0, 2]] == 0).all()
    (allowed,) = logits[1].isfinite().nonzero(as_tuple=True)
    assert [model.encoder.decode([token]) for token in allowed.tolist()] == ['"']
    state = SamplingState.of(SamplingParams(temperature=1.0, seed=1), (), mask=mask)
    assert sample(torch.zeros(1, size), [state], model.eos).tolist() == allowed.tolist()
    maker.close()


def test_a_gpu_reads_the_same_masks_from_bits(model: CausalModel) -> None:
    """The bits are read on the device of the logits; here it is a CPU."""
    grammars = Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos)
    found = []
    for on_cpu in (True, False):
        maker = MaskMaker(grammars, on_cpu=on_cpu)
        masks = [maker.begin(schema, None) for schema in (SCHEMA, OTHER, {"type": "string"})]
        maker.follow((mask, []) for mask in masks)
        maker.follow((mask, grammars.tokens(text)) for mask, text in zip(masks, ('{"mood": "', "[", '"a'), strict=True))
        found.append([mask.allowed() for mask in masks])
        maker.close()
    biases, words = found
    banned = _banned(torch.tensor(np.stack([one for one in words if one is not None])))
    assert banned.tolist() == [(one == -np.inf).tolist() for one in biases if one is not None]
    assert 0 < banned.sum() < banned.numel()
