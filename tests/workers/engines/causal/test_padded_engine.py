"""Shows workers/engines/causal/padded_engine.py: padding changes no text, and a request that fails harms no other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.errors import CODES
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from workers.engines.causal.loading import load_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.device import placement

GREEDY = SamplingParams(max_tokens=12, temperature=0.0, seed=1)
TEXTS = ["ba be bi", "da de di do du ka ke ki", "la", "mo mu na ne ni no nu pa pe pi po pu", "ra re", "so su ta te ti"]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> CausalModel:
    return load_model(tiny_model, placement.Placement(torch.device("cpu"), torch.float32, "cpu"))


def request_of(request_id: str, text: str, params: SamplingParams = GREEDY, **prompt: object) -> GenerationRequest:
    return GenerationRequest(request_id, Prompt(text=text, params=params, **prompt))  # type: ignore[arg-type]


def padded(model: CausalModel, slots: int = 8) -> PaddedEngine:
    return PaddedEngine(model, slots=slots)


def completions(engine: PaddedEngine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    while len(done) < len(requests):
        done += engine.step()
    return {one.request_id: one for one in done}


@contextmanager
def before_each_step(model: CausalModel, call: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """In the block, the network calls `call` with the tokens of each step before it computes the step."""
    embeddings = model.network.get_input_embeddings()
    hook = embeddings.register_forward_pre_hook(lambda _module, inputs: call(inputs[0]))
    try:
        yield
    finally:
        hook.remove()


def test_padding_changes_no_text(tiny: CausalModel) -> None:
    """The greedy texts of a mixed batch are the same as those that `generate` writes for each prompt alone, without padding."""
    together = completions(padded(tiny, slots=6), *(request_of(str(n), text) for n, text in enumerate(TEXTS)))
    for n, text in enumerate(TEXTS):
        ids = torch.tensor([tiny.encoder.tokenizer(text)["input_ids"]])
        alone = tiny.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=0
        )
        assert together[str(n)].text == tiny.encoder.decode(alone[0, ids.shape[1] :].tolist())
    assert len({one.text for one in together.values()}) == 6


def test_a_batch_holds_the_oldest_request_and_those_of_similar_length(tiny: CausalModel) -> None:
    engine = padded(tiny, slots=2)
    for n, words in enumerate((1, 9, 2, 10)):
        engine.submit(request_of(str(n), " ".join(["ba"] * words)))
    assert {one.request_id for one in engine.step()} == {"0", "2"}
    assert {one.request_id for one in engine.step()} == {"1", "3"}


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        pytest.param("prompt_too_long", request_of("bad", "ba " * 85), id="too long with its completion"),
        pytest.param("token_out_of_range", request_of("bad", "ba beyond"), id="token beyond the network's"),
        pytest.param("unknown_adapter", request_of("bad", "ba", adapter="brand"), id="adapter"),
        pytest.param(
            "unsupported_parameter",
            GenerationRequest("bad", Prompt(messages=(Message("assistant", "ba"),), params=GREEDY)),
            id="template refuses",
        ),
        pytest.param("generation_failed", request_of("bad", "ba \ud800"), id="the tokenizer fails"),
    ],
)
def test_a_request_that_cannot_run_fails_alone(tiny: CausalModel, code: str, bad: GenerationRequest) -> None:
    engine = padded(tiny)
    done = completions(engine, request_of("good", "ba"), bad, request_of("fits", "ba " * 84))
    assert done["bad"].fault is not None
    assert done["bad"].fault.code == code
    assert code in CODES
    assert (done["good"].fault, done["fits"].fault) == (None, None)
    assert engine.stats().prompt_tokens == 85


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        pytest.param(RuntimeError("shapes differ\nat line 3"), "generation_failed", True, id="any error"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", False, id="of the device"),
        pytest.param(
            RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", False, id="of the CPU"
        ),
    ],
)
def test_a_failing_batch_is_halved_until_the_faulty_request_fails_alone(
    tiny: CausalModel, error: Exception, code: str, retryable: bool
) -> None:
    guilty = tiny.encoder.tokenizer("ka")["input_ids"][0]

    def raises(ids: torch.Tensor) -> None:
        if (ids == guilty).any() and ids.shape[1] > 1:
            raise error

    engine = padded(tiny)
    expected = completions(padded(tiny), *(request_of(str(n), text) for n, text in enumerate(TEXTS)))
    with before_each_step(tiny, raises):
        done = completions(engine, *(request_of(str(n), text) for n, text in enumerate(TEXTS)))
    fault = done["1"].fault
    assert fault is not None
    assert (fault.code, fault.retryable) == (code, retryable)
    assert "\n" not in fault.message
    assert {name: one.text for name, one in done.items() if name != "1"} == {
        name: one.text for name, one in expected.items() if name != "1"
    }
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_a_request_that_does_not_fit_with_others_runs_in_a_smaller_batch(tiny: CausalModel) -> None:
    def raises(ids: torch.Tensor) -> None:
        if ids.shape[0] > 2:
            raise torch.OutOfMemoryError("too many rows")

    with before_each_step(tiny, raises):
        done = completions(padded(tiny), *(request_of(str(n), text) for n, text in enumerate(TEXTS)))
    assert {one.fault for one in done.values()} == {None}


def test_cancel_ends_a_row_of_a_running_batch(tiny: CausalModel) -> None:
    """A request that another thread cancels at its fourth token ends there. The other request continues."""
    engine = padded(tiny)
    calls = []

    def cancel_at_the_fourth(_ids: torch.Tensor) -> None:
        calls.append(1)
        if len(calls) == 4:
            other = threading.Thread(target=engine.cancel, args=("gone",))
            other.start()
            other.join()
            assert engine.stats().running == 2

    long = replace(GREEDY, min_tokens=12)
    with before_each_step(tiny, cancel_at_the_fourth):
        done = completions(engine, request_of("gone", "ba be bi", long), request_of("stays", "da de", long))
    assert (done["gone"].finish_reason, done["gone"].completion_tokens) == ("cancelled", 4)
    assert len(done["gone"].text.split()) == 4
    assert done["stays"].completion_tokens == 12


def test_a_row_ends_at_its_max_tokens_while_others_go_on(tiny: CausalModel) -> None:
    short, long = replace(GREEDY, max_tokens=2, min_tokens=2), replace(GREEDY, max_tokens=9, min_tokens=9)
    done = completions(padded(tiny), request_of("short", "ba", short), request_of("long", "ba", long))
    assert (done["short"].completion_tokens, done["long"].completion_tokens) == (2, 9)
    assert done["long"].text.startswith(done["short"].text)


def test_a_bias_for_a_token_that_the_model_lacks_fails_that_request_alone(tiny: CausalModel) -> None:
    wrong = request_of("wrong", "ba", replace(GREEDY, logit_bias={10**6: 1.0}))
    done = completions(padded(tiny), wrong, request_of("right", "ba", GREEDY))
    fault = done["wrong"].fault
    assert fault is not None
    assert (fault.code, done["right"].fault) == ("token_out_of_range", None)


def test_a_completion_token_weighs_more_than_a_prompt_token(tiny: CausalModel) -> None:
    read = request_of("read", " ".join(["ba"] * 40), replace(GREEDY, max_tokens=1))
    written = request_of("written", "ba", replace(GREEDY, min_tokens=40, max_tokens=40))
    done = completions(padded(tiny), read, written)
    assert (done["read"].prompt_tokens, done["read"].completion_tokens) == (40, 1)
    assert (done["written"].prompt_tokens, done["written"].completion_tokens) == (1, 40)
    assert done["written"].device_ns / done["read"].device_ns == pytest.approx(161 / 44, rel=1e-3)
