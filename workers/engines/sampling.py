"""How the next tokens of a batch are chosen: each row by its own params and its own random numbers.

Greedy search over scores to which Gumbel noise was added draws from their softmax (the Gumbel-max trick: Gumbel, 1954).
The noise of a token follows from the request's seed and the token's position alone, so who shares the batch is no matter.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from jobs.generation import SamplingParams


@dataclass(frozen=True, slots=True)
class Sampler:
    """A logits processor for `generate(do_sample=False)`.

    Args:
        params: Of each row.
        width: The padded length of the prompts.
        padding: Of each row, how many tokens of that are padding, on the left.
        eos: The tokens that end a text.
    """

    params: Sequence[SamplingParams]
    width: int
    padding: Sequence[int]
    eos: Sequence[int]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores [rows, vocabulary] whose greatest value in a row is that row's choice."""
        position = input_ids.shape[1] - self.width
        for row, params in enumerate(self.params):
            if params.repetition_penalty != 1.0:
                _penalise(scores[row], input_ids[row, self.padding[row] :], params.repetition_penalty)
            if params.presence_penalty or params.frequency_penalty:
                _discourage(scores[row], input_ids[row, self.width :], params)
            if params.logit_bias:
                _bias(scores[row], params.logit_bias)
            if position < params.min_tokens:
                scores[row, list(self.eos)] = -torch.inf
            if params.temperature > 0:
                scores[row] = _perturbed(scores[row], params, position)
        return scores


def _penalise(scores: torch.Tensor, seen: torch.Tensor, penalty: float) -> None:
    """Make tokens that were seen less likely, in place (CTRL: arXiv 1909.05858, section 4.1)."""
    tokens = torch.unique(seen)
    before = scores[tokens]
    scores[tokens] = torch.where(before > 0, before / penalty, before * penalty)


def _discourage(scores: torch.Tensor, said: torch.Tensor, params: SamplingParams) -> None:
    """Take penalties from the logits of tokens of the completion so far, in place (OpenAI's API: once, and for each time)."""
    tokens, times = torch.unique(said, return_counts=True)
    scores[tokens] -= params.presence_penalty + params.frequency_penalty * times.to(scores.dtype)


def _bias(scores: torch.Tensor, logit_bias: Mapping[int, float]) -> None:
    """Add to the logits of tokens by id, in place; -100 and 100 forbid and compel, as in OpenAI's API."""
    for token, bias in logit_bias.items():
        scores[token] += bias


def _perturbed(scores: torch.Tensor, params: SamplingParams, position: int) -> torch.Tensor:
    """Filtered scores of one row, with that position's noise."""
    return _filtered(scores / params.temperature, params) + _gumbel(params.seed or 0, position, scores)


def _filtered(scores: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Scores [vocabulary] with -inf for the tokens that top_k, top_p and min_p exclude. The best one always stays."""
    if 0 < params.top_k < len(scores):
        scores = scores.masked_fill(scores < scores.topk(params.top_k).values[-1], -torch.inf)
    if params.top_p < 1.0:
        ordered, order = scores.softmax(0).sort(descending=True)
        before = ordered.cumsum(0) - ordered  # the probability of all that are likelier
        excluded = torch.zeros_like(before, dtype=torch.bool).scatter(0, order, before >= params.top_p)
        scores = scores.masked_fill(excluded, -torch.inf)
    if params.min_p > 0.0:
        likely = scores.softmax(0)
        scores = scores.masked_fill(likely < params.min_p * likely.max(), -torch.inf)
    return scores


def _gumbel(seed: int, position: int, like: torch.Tensor) -> torch.Tensor:
    """Gumbel noise [vocabulary], drawn on the CPU so that a device does not change it."""
    digest = hashlib.sha256(f"{seed}/{position}".encode()).digest()
    chance = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    noise = torch.empty(len(like)).exponential_(generator=chance).clamp_min_(1e-30).log_().neg_()
    return noise.to(like.device)
