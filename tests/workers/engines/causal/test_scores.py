"""Shows that the slot engine and the padded engine give the log probabilities and scores of a plain forward pass."""

import random
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.generation import GenerationRequest, Message, Prompt
from tests.workers.engines import chat_families
from tests.workers.engines.architectures import VOCABULARY, make
from tests.workers.engines.causal.small_engines import (
    GREEDY,
    SAMPLED,
    before_each_step,
    completions,
    generate_alone,
    prompts,
    random_model,
    request_of,
    slot_engine,
)
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_engine import PaddedEngine
from workers.engines.device.placement import Placement
from workers.engines.scoring import ScoringEngine


@pytest.mark.parametrize("padded", [False, True])
def test_log_probabilities_are_those_of_a_plain_forward(llama: CausalModel, padded: bool) -> None:
    """The log probabilities are the model's own, before temperature and penalties, within 1e-4 of the softmax over the whole
    vocabulary.
    """
    params = replace(SAMPLED, frequency_penalty=1.0, logit_bias={7: 5.0}, logprobs=4)
    requests = [request_of(f"r{n}", tokens, replace(params, seed=n)) for n, tokens in enumerate(prompts(9))]
    engine = PaddedEngine(random_model(), slots=4) if padded else slot_engine(llama)
    done = completions(engine, *requests)
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
    """Other requests in the same steps keep their texts. An end token inside a continuation is scored like any other token."""
    network, texts = make("llama"), ["5 6 7", "9", "8 2 8 8", "11 12"]
    prompt = [4, *range(20, 50)]
    best = generate_alone(network, request_of("best", prompt, replace(GREEDY, max_tokens=3)))
    scored = GenerationRequest(
        "scored", Prompt(text=" ".join(map(str, prompt)), continuations=tuple(f" {one}" for one in (*texts, best)))
    )
    others = [request_of(f"r{n}", tokens, SAMPLED) for n, tokens in enumerate(prompts(5))]
    alone = completions(slot_engine(llama), *others)
    model = random_model()
    engine = ScoringEngine(PaddedEngine(model, slots=4) if padded else slot_engine(model))
    done = completions(engine, *others[:2], scored, *others[2:])
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
    assert (done["scored"].prompt_tokens, done["scored"].cached_prompt_tokens) == (len(prompt), 0)
    assert engine.stats().prompt_tokens == sum(one.prompt_tokens for one in done.values())
    assert sum(one.device_ns for one in done.values()) == engine.stats().busy_ns


def test_a_long_continuation_is_scored_in_chunks(llama: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step scores as many tokens as its budget and `MAX_FORCED_SAMPLES` allow. If memory runs out, no score is lost."""
    monkeypatch.setattr("workers.engines.causal.scheduler.MAX_FORCED_SAMPLES", 10)
    some = random.Random(4)
    texts = [" ".join(str(some.randrange(3, VOCABULARY)) for _ in range(size)) for size in (90, 1, 41)]
    prompt = " ".join(map(str, range(10, 30)))
    scored = GenerationRequest("scored", Prompt(text=prompt, continuations=tuple(f" {one}" for one in texts)))
    others = [request_of(f"r{n}", tokens, SAMPLED) for n, tokens in enumerate(prompts(3))]
    expected = completions(slot_engine(llama), *others)
    network, steps = make("llama"), []

    def raises(_ids: torch.Tensor) -> None:
        steps.append(1)
        if len(steps) == 6:
            raise torch.OutOfMemoryError("CUDA out of memory")

    for room, least, most in ((4096, 14, 25), (8, 30, 60)):
        steps.clear()
        engine = ScoringEngine(slot_engine(llama, 6, step_tokens=room))
        with before_each_step(llama, raises):
            done = completions(engine, scored, *others)
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


@pytest.mark.parametrize("padded", [False, True], ids=["slots", "padded"])
@pytest.mark.parametrize("chat", [False, True], ids=["raw", "chat"])
@pytest.mark.parametrize("family", ["chatml", "llama3", "gemma", "llama2", "zephyr", "unigram"])
def test_labels_are_scored_as_in_one_text(family: str, chat: bool, padded: bool) -> None:
    """The score of a label is the sum of its tokens' log probabilities, by a plain forward of prompt and label as one text."""
    tokenizer, network = chat_families.tokenizer_of(family), chat_families.network_of(family)
    options = CausalOptions(padded=padded, cache_bytes=1 << 24, step_tokens=4096)
    placement = Placement(torch.device("cpu"), torch.float32, "cpu")
    engine = ScoringEngine(build_engine("tiny", wrap_model(network, tokenizer, placement), options, slots=4))
    labels, text = (" new\n", " new light\n", " old\n", "\u4e2d"), "Text: the quiet harbour\nAnswer:"
    prompts_ = [Prompt(text=f"{text}{n}"[: len(text) + n], continuations=labels) for n in range(3)]
    rendered = [prompt.text for prompt in prompts_]
    if chat:
        turns = [[{"role": "user", "content": one}] for one in rendered]
        prompts_ = [Prompt(messages=(Message("user", one),), continuations=labels) for one in rendered]
        rendered = [tokenizer.apply_chat_template(one, add_generation_prompt=True, tokenize=False) for one in turns]
    requests = [GenerationRequest(str(n), prompt) for n, prompt in enumerate(prompts_)]
    writing = GenerationRequest("writing", Prompt(text=text, params=replace(SAMPLED, max_tokens=6)))
    done = completions(engine, *requests[:2], writing, *requests[2:])
    reference = chat_families.network_of(family)
    for n, before in enumerate(rendered):
        alone, *wholes = (tokenizer(before + one, add_special_tokens=not chat)["input_ids"] for one in ("", *labels))
        assert [done[str(n)].fault, len(done[str(n)].scores)] == [None, len(labels)]
        shared = next(
            place for place in range(len(alone) + 1) if len({tuple(one[: place + 1]) for one in (alone, *wholes)}) > 1
        )
        assert done[str(n)].prompt_tokens == shared
        for whole, score in zip(wholes, done[str(n)].scores, strict=True):
            assert [one.token_id for one in score.tokens] == whole[shared:]
            with torch.inference_mode():
                rows = reference(torch.tensor([whole])).logits[0].log_softmax(-1)
            expected = [float(rows[place - 1, whole[place]]) for place in range(shared, len(whole))]
            assert [one.logprob for one in score.tokens] == pytest.approx(expected, abs=1e-4)


def test_the_prompt_of_all_labels_is_computed_once(llama: CausalModel) -> None:
    """For each further label only the last token of the prompt is computed again, whose logits are needed."""
    prompt, labels = [*range(3, 43)], [f" {n} {n + 1}" for n in range(44, 56)]
    computed: list[int] = []
    engine = ScoringEngine(slot_engine(llama, 4))
    with before_each_step(llama, lambda ids: computed.append(ids.numel())):
        text = " ".join(map(str, prompt))
        done = completions(engine, GenerationRequest("s", Prompt(text=text, continuations=tuple(labels))))
    assert len(done["s"].scores) == 12
    assert len(prompt) + 11 + 12 <= sum(computed) <= len(prompt) + 2 * 12 + 12
    assert (done["s"].prompt_tokens, done["s"].completion_tokens) == (40, 24)
