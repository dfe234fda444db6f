"""Shows workers/engines/causal/sampler.py: filters, penalties and biases, and that each draw depends on its request alone."""

from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from jobs.generation import SamplingParams
from workers.engines.causal.sampler import (
    BLOCK,
    CANDIDATES,
    SamplingState,
    apply_penalties,
    candidates,
    most_likely,
    sample,
)

PROBABILITIES = torch.tensor([0.5, 0.3, 0.12, 0.08])


def sampled(logits: torch.Tensor, *states: SamplingState, eos: tuple[int, ...] = ()) -> list[int]:
    found: list[int] = sample(logits.clone(), states, eos).tolist()
    return found


@pytest.mark.parametrize(
    ("params", "possible"),
    [
        pytest.param({}, {0, 1, 2, 3}, id="all"),
        pytest.param({"top_k": 2}, {0, 1}, id="top_k"),
        pytest.param({"top_p": 0.6}, {0, 1}, id="top_p"),
        pytest.param({"top_p": 0.01}, {0}, id="top_p keeps the best"),
        pytest.param({"top_k": 3, "top_p": 0.85}, {0, 1}, id="top_p is of what top_k left"),
        pytest.param({"min_p": 0.3}, {0, 1}, id="min_p"),
        pytest.param({"temperature": 0.01}, {0}, id="cold"),
        pytest.param({"temperature": 0.0}, {0}, id="greedy"),
        pytest.param({"repetition_penalty": 100.0, "temperature": 0.0}, {1}, id="repetition"),
        pytest.param({"min_tokens": 2, "temperature": 0.0}, {1}, id="no end before min_tokens"),
    ],
)
def test_filters(params: dict[str, float], possible: set[int]) -> None:
    """The tokens have the probabilities .5, .3, .12 and .08. Token 0 stands in the prompt, and it is an end token for
    min_tokens.
    """
    drawn = set()
    for seed in range(150):
        asks = SamplingParams(**{"temperature": 1.0, "seed": seed, **params})  # type: ignore[arg-type]
        drawn.update(sampled(PROBABILITIES.log()[None] + 3, SamplingState.of(asks, [0]), eos=(0,)))
    assert drawn == possible


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"temperature": 0.7}, id="temperature"),
        pytest.param({"temperature": 1.3, "top_k": 7}, id="top_k"),
        pytest.param({"temperature": 0.9, "top_p": 0.8}, id="top_p"),
        pytest.param({"temperature": 1.0, "min_p": 0.1}, id="min_p"),
        pytest.param({"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.05}, id="all of them"),
        pytest.param({"temperature": 1.0, "repetition_penalty": 1.3}, id="repetition"),
    ],
)
def test_probabilities_are_those_of_transformers(params: dict[str, Any]) -> None:
    torch.manual_seed(0)
    logits, seen = torch.randn(5, 64) * 3, [3, 9, 9, 20]
    asks = SamplingParams(**params)
    theirs = LogitsProcessorList()
    if asks.repetition_penalty != 1.0:
        theirs.append(RepetitionPenaltyLogitsProcessor(asks.repetition_penalty))
    theirs.append(TemperatureLogitsWarper(asks.temperature))
    theirs += [TopKLogitsWarper(asks.top_k)] if asks.top_k else []
    theirs += [TopPLogitsWarper(asks.top_p)] if asks.top_p < 1 else []
    theirs += [MinPLogitsWarper(asks.min_p)] if asks.min_p else []
    expected = theirs(torch.tensor([seen] * 5), logits.clone()).softmax(-1)
    ours = logits.clone()
    apply_penalties(ours, [SamplingState.of(asks, seen[:2], seen[2:])] * 5)
    kept, tokens = candidates((ours / asks.temperature).softmax(-1), [asks] * 5, 64)
    got = torch.zeros_like(expected).scatter(1, tokens, kept / kept.sum(-1, keepdim=True))
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param(
            {"presence_penalty": 1.5}, [1.0, 0.5, 2.0, -0.5], id="presence: once for each token of the output"
        ),
        pytest.param({"frequency_penalty": 0.5}, [1.0, 1.0, 2.0, 0.5], id="frequency: for each time"),
        pytest.param({"presence_penalty": -1.0, "frequency_penalty": 1.0}, [1.0, 1.0, 2.0, 1.0], id="both"),
        pytest.param({"logit_bias": {0: -100.0, 3: 2.0}}, [-99.0, 2.0, 2.0, 3.0], id="bias"),
    ],
)
def test_penalties_and_biases_of_openai(params: dict[str, Any], expected: list[float]) -> None:
    """The prompt is token 0, which is not penalised. The output so far has token 3 once and token 1 twice."""
    changed = torch.tensor([[1.0, 2.0, 2.0, 1.0], [9.0, 9.0, 9.0, 9.0]])
    states = [
        SamplingState.of(SamplingParams(temperature=0.0, **params), [0], [1, 3, 1]),
        SamplingState.of(SamplingParams(), [1]),
    ]
    apply_penalties(changed, states)
    assert changed.tolist() == [expected, [9.0] * 4]


def test_a_state_after_tokens_equals_one_made_with_them() -> None:
    params = SamplingParams(temperature=1.0, seed=3, frequency_penalty=1.0)
    appended = SamplingState.of(params, [5])
    for token in (1, 2, 1):
        appended.append(token)
    assert appended == SamplingState.of(params, [5], [1, 2, 1])


def test_samples_follow_the_probabilities() -> None:
    states = [SamplingState.of(SamplingParams(temperature=1.0, seed=seed), ()) for seed in range(4000)]
    counts = torch.bincount(torch.tensor(sampled(PROBABILITIES.log().repeat(4000, 1), *states)), minlength=4)
    assert (counts / 4000 - PROBABILITIES).abs().max() < 0.03


def test_each_position_has_a_random_number_of_its_own() -> None:
    """With equal probabilities, one seed draws many different tokens over the positions."""
    params = SamplingParams(temperature=1.0, seed=5)
    drawn = [sampled(torch.zeros(1, 100), SamplingState.of(params, (), [0] * n))[0] for n in range(40)]
    assert len(set(drawn)) > 20


def test_a_token_does_not_depend_on_the_other_sequences() -> None:
    """Rows with all kinds of params are sampled together, some with nuclei wider than the candidates."""
    torch.manual_seed(1)
    wide = 4 * CANDIDATES
    variants: list[dict[str, Any]] = [
        {}, {"temperature": 0.0}, {"top_k": 5}, {"top_k": CANDIDATES + 9}, {"top_p": 0.95}, {"top_p": 0.1}, {"min_p": 0.01},
        {"top_k": CANDIDATES}, {"repetition_penalty": 1.2}, {"logit_bias": {4: 3.0}}, {"presence_penalty": 1.0},
    ]  # fmt: skip
    states = [
        SamplingState.of(SamplingParams(**{"temperature": 1.0, "seed": n, **variant}), [1, 2], [7, 8])
        for n, variant in enumerate(variants * 6)
    ]
    logits = torch.randn(len(states), wide)
    together = sampled(logits, *states, eos=(3,))
    assert together == [sampled(logits[n : n + 1], one, eos=(3,))[0] for n, one in enumerate(states)]


def test_a_nucleus_wider_than_the_candidates_is_drawn_from_as_a_whole() -> None:
    wide = 4 * CANDIDATES
    states = [SamplingState.of(SamplingParams(temperature=1.0, top_p=0.75, seed=seed), ()) for seed in range(600)]
    logits = torch.linspace(0, -0.01, wide).repeat(600, 1)
    drawn = sampled(logits, *states)
    assert max(drawn) < 0.76 * wide
    assert max(drawn) > 0.73 * wide


@pytest.mark.parametrize("vocabulary", [1, 1000, BLOCK, BLOCK + 1, 3 * BLOCK, 5000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_most_likely_is_the_first_of_the_highest(dtype: torch.dtype, vocabulary: int) -> None:
    logits = torch.randn(6, vocabulary).to(dtype)
    logits[0, [vocabulary - 1, vocabulary // 3]] = 9.0
    logits[1] = -torch.inf
    logits[2, -1] = 9.0
    logits[3, :] = -1.0
    assert most_likely(logits).tolist()[:4] == [vocabulary // 3, 0, vocabulary - 1, 0]
    assert torch.equal(most_likely(logits), logits.float().max(-1).indices)
