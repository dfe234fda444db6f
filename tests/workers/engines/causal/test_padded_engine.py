"""Shows workers/engines/causal/padded_engine.py: padding, and isolation of what fails."""

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
    torch.set_num_threads(1)  # as the engine does; two threads fight for the cores of a small machine
    return load_model(tiny_model, placement.Placement(torch.device("cpu"), torch.float32, "cpu"))


def asked(request_id: str, text: str, params: SamplingParams = GREEDY, **prompt: object) -> GenerationRequest:
    return GenerationRequest(request_id, Prompt(text=text, params=params, **prompt))  # type: ignore[arg-type]


def padded(model: CausalModel, slots: int = 8) -> PaddedEngine:
    return PaddedEngine(model, slots=slots)


def answers(engine: PaddedEngine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    while len(done) < len(requests):
        done += engine.step()
    return {one.request_id: one for one in done}


@contextmanager
def trouble(model: CausalModel, raises: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """The network calls `raises` with each input before it runs."""
    embeddings = model.network.get_input_embeddings()
    hook = embeddings.register_forward_pre_hook(lambda _module, inputs: raises(inputs[0]))
    try:
        yield
    finally:
        hook.remove()


def test_padding_changes_nothing(tiny: CausalModel) -> None:
    """Greedy texts of a mixed batch are those that transformers gives to each prompt alone, without padding."""
    together = answers(padded(tiny, slots=6), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    for n, text in enumerate(TEXTS):
        ids = torch.tensor([tiny.encoder.tokenizer(text)["input_ids"]])
        alone = tiny.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=0
        )
        assert together[str(n)].text == tiny.encoder.decode(alone[0, ids.shape[1] :].tolist())
    assert len({one.text for one in together.values()}) == 6


def test_a_batch_holds_the_oldest_and_those_like_it(tiny: CausalModel) -> None:
    engine = padded(tiny, slots=2)
    for n, words in enumerate((1, 9, 2, 10)):
        engine.submit(asked(str(n), " ".join(["ba"] * words)))
    assert {one.request_id for one in engine.step()} == {"0", "2"}
    assert {one.request_id for one in engine.step()} == {"1", "3"}


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        pytest.param("prompt_too_long", asked("bad", "ba " * 85), id="too long with its completion"),
        pytest.param("token_out_of_range", asked("bad", "ba beyond"), id="token beyond the network's"),
        pytest.param("unknown_adapter", asked("bad", "ba", adapter="brand"), id="adapter"),
        pytest.param(
            "unsupported_parameter",
            GenerationRequest("bad", Prompt(messages=(Message("assistant", "ba"),), params=GREEDY)),
            id="template refuses",
        ),
        pytest.param("generation_failed", asked("bad", "ba \ud800"), id="what the tokenizer chokes on"),
    ],
)
def test_what_cannot_run_fails_alone(tiny: CausalModel, code: str, bad: GenerationRequest) -> None:
    engine = padded(tiny)
    done = answers(engine, asked("good", "ba"), bad, asked("fits", "ba " * 84))
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
def test_a_failing_batch_is_halved_until_the_guilty_fails_alone(
    tiny: CausalModel, error: Exception, code: str, retryable: bool
) -> None:
    guilty = tiny.encoder.tokenizer("ka")["input_ids"][0]

    def raises(ids: torch.Tensor) -> None:
        if (ids == guilty).any() and ids.shape[1] > 1:
            raise error

    engine = padded(tiny)
    whole = answers(padded(tiny), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    with trouble(tiny, raises):
        done = answers(engine, *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    fault = done["1"].fault
    assert fault is not None
    assert (fault.code, fault.retryable) == (code, retryable)
    assert "\n" not in fault.message
    assert {name: one.text for name, one in done.items() if name != "1"} == {
        name: one.text for name, one in whole.items() if name != "1"
    }
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_a_request_that_does_not_fit_with_others_runs_in_a_smaller_batch(tiny: CausalModel) -> None:
    def raises(ids: torch.Tensor) -> None:
        if ids.shape[0] > 2:
            raise torch.OutOfMemoryError("too many rows")

    with trouble(tiny, raises):
        done = answers(padded(tiny), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    assert {one.fault for one in done.values()} == {None}


def test_cancel_reaches_a_batch_that_runs(tiny: CausalModel) -> None:
    """A request cancelled from another thread at its fourth token ends there; its neighbour goes on."""
    engine = padded(tiny)
    calls = []

    def meddle(_ids: torch.Tensor) -> None:
        calls.append(1)
        if len(calls) == 4:
            other = threading.Thread(target=engine.cancel, args=("gone",))
            other.start()
            other.join()
            assert engine.stats().running == 2

    long = replace(GREEDY, min_tokens=12)
    with trouble(tiny, meddle):
        done = answers(engine, asked("gone", "ba be bi", long), asked("stays", "da de", long))
    assert (done["gone"].finish_reason, done["gone"].completion_tokens) == ("cancelled", 4)
    assert len(done["gone"].text.split()) == 4
    assert done["stays"].completion_tokens == 12


def test_a_row_that_has_all_its_tokens_ends_while_others_go_on(tiny: CausalModel) -> None:
    short, long = replace(GREEDY, max_tokens=2, min_tokens=2), replace(GREEDY, max_tokens=9, min_tokens=9)
    done = answers(padded(tiny), asked("short", "ba", short), asked("long", "ba", long))
    assert (done["short"].completion_tokens, done["long"].completion_tokens) == (2, 9)
    assert done["long"].text.startswith(done["short"].text)


def test_a_bias_for_a_token_that_the_model_lacks_fails_that_request_alone(tiny: CausalModel) -> None:
    wrong = asked("wrong", "ba", replace(GREEDY, logit_bias={10**6: 1.0}))
    done = answers(padded(tiny), wrong, asked("right", "ba", GREEDY))
    fault = done["wrong"].fault
    assert fault is not None
    assert (fault.code, done["right"].fault) == ("token_out_of_range", None)


def test_a_written_token_weighs_more_than_one_that_was_read(tiny: CausalModel) -> None:
    read = asked("read", " ".join(["ba"] * 40), replace(GREEDY, max_tokens=1))
    written = asked("written", "ba", replace(GREEDY, min_tokens=40, max_tokens=40))
    done = answers(padded(tiny), read, written)
    assert (done["read"].prompt_tokens, done["read"].completion_tokens) == (40, 1)
    assert (done["written"].prompt_tokens, done["written"].completion_tokens) == (1, 40)
    assert done["written"].device_ns / done["read"].device_ns == pytest.approx(161 / 44, rel=1e-3)
