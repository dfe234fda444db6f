"""The sampler chooses the next tokens of many sequences at once, each by its own sampling params and random numbers.

A token is drawn by inverting the cumulative distribution at one uniform number. That number depends only on the request's seed
and the token's position, so a completion does not depend on the other requests of its steps. The temperature and the filters are
applied in the order of transformers: temperature, top_k, top_p (Holtzman et al. 2020: arXiv 1904.09751), min_p (arXiv
2407.01082). Log probabilities are the model's own, before penalties, temperature and filters (vLLM's `raw_logprobs`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import torch

from jobs.generation import MIN_LOGPROB, SamplingParams
from workers.engines.causal.masks import SchemaMask, apply_masks
from workers.engines.text.encoding import SampledLogprob

CANDIDATES: Final = 256
"""Filters first look at only this many of the most likely tokens, or at top_k of them if top_k is larger. The whole vocabulary is
sorted only if top_p and min_p keep all the tokens that the filters have looked at."""

BLOCK: Final = 1024
"""On a CPU, `most_likely` divides the logits into blocks of this many. It finds the highest logit of each block, then looks for
the token only in the block with the highest of all."""


@dataclass(slots=True)
class SamplingState:
    """The state of one sequence, as the sampler needs it.

    Args:
        params: Its sampling params.
        prompt: The tokens of its prompt, if its params have a repetition penalty; else empty.
        output: How often each token stands in its output so far.
        position: The number of tokens in its output so far.
        logprobs: The log probabilities of its output tokens, if its params ask for them.
        forced: Tokens that are taken instead of sampled ones, by position.
        mask: The tokens that its JSON schema allows; None if it has no schema.
    """

    params: SamplingParams
    prompt: frozenset[int]
    output: Counter[int] = field(default_factory=Counter)
    position: int = 0
    logprobs: list[SampledLogprob] = field(default_factory=list)
    forced: Sequence[int] = ()
    mask: SchemaMask | None = None

    @classmethod
    def of(
        cls,
        params: SamplingParams,
        prompt: Iterable[int],
        output: Sequence[int] = (),
        forced: Sequence[int] = (),
        mask: SchemaMask | None = None,
    ) -> "SamplingState":
        """Return the state of a sequence that has this output so far."""
        read = frozenset(prompt) if params.repetition_penalty != 1.0 else frozenset()
        return cls(params, read, Counter(output), len(output), forced=forced, mask=mask)

    @property
    def is_argmax(self) -> bool:
        """Whether the next token is just the one with the highest logit, and no log probability is recorded."""
        params = self.params
        changed = params.repetition_penalty != 1.0 or params.presence_penalty or params.frequency_penalty
        return not (params.temperature > 0 or changed or params.logit_bias or params.logprobs is not None)

    def for_next(self, choices: int) -> list["SamplingState"]:
        """Return a state for each of the next `choices` positions: first this state, then copies of it at later positions."""
        return [self, *(replace(self, position=self.position + n) for n in range(1, choices))]

    def append(self, token: int) -> None:
        """Add a token to the output."""
        self.output[token] += 1
        self.position += 1


def sample(logits: torch.Tensor, states: Sequence[SamplingState], eos: Sequence[int]) -> torch.Tensor:
    """Return the next tokens [sequences], chosen from the logits [sequences, vocabulary]. The logits may be changed in place."""
    recorded = [row for row, one in enumerate(states) if one.params.logprobs is not None]
    raw_logprobs = logits[torch.tensor(recorded, device=logits.device)].float().log_softmax(-1) if recorded else None
    suppress_early_eos(logits, states, eos)
    apply_masks(logits, [one.mask for one in states])
    if all(one.is_argmax for one in states):
        return most_likely(logits)
    logits = logits.float()
    apply_penalties(logits, states)
    chosen = most_likely(logits)
    drawn = [row for row, one in enumerate(states) if one.params.temperature > 0]
    if drawn:
        all_drawn = len(drawn) == len(states)
        rows = torch.tensor(drawn, device=logits.device)
        picked = logits if all_drawn else logits.index_select(0, rows)
        chosen[rows] = draw(picked, [states[row] for row in drawn])
    for row, one in enumerate(states):
        if one.position < len(one.forced):
            chosen[row] = one.forced[one.position]
    if raw_logprobs is not None:
        record_logprobs(
            raw_logprobs, chosen[torch.tensor(recorded, device=chosen.device)], [states[row] for row in recorded]
        )
    return chosen


def most_likely(logits: torch.Tensor) -> torch.Tensor:
    """Return the token [sequences] with the highest of each sequence's logits [sequences, vocabulary].

    If several tokens have the highest logit, the first of them is returned. On a CPU, finding the place of the highest number
    takes several times as long as finding the number. So the place is looked for in only one block of each sequence (`BLOCK`).
    """
    if logits.device.type != "cpu":
        return logits.argmax(-1)
    vocabulary = logits.shape[1]
    if vocabulary <= BLOCK:
        only: torch.Tensor = logits.max(-1).indices
        return only
    whole = vocabulary // BLOCK * BLOCK
    highest = logits[:, :whole].reshape(len(logits), -1, BLOCK).amax(-1)
    if whole < vocabulary:
        highest = torch.cat([highest, logits[:, whole:].amax(-1, keepdim=True)], 1)
    start = highest.max(-1).indices * BLOCK
    tokens = (start[:, None] + torch.arange(BLOCK)).clamp_(max=vocabulary - 1)
    first: torch.Tensor = start + logits.gather(1, tokens).max(-1).indices
    return first


def record_logprobs(raw_logprobs: torch.Tensor, chosen: torch.Tensor, states: Sequence[SamplingState]) -> None:
    """Record in each state the log probability of the sequence's token in `chosen` [sequences].

    The most likely tokens are recorded too, as many as the sequence's params ask for. `raw_logprobs` [sequences, vocabulary]
    has the log probabilities of all tokens.
    """
    widths = [min(one.params.logprobs or 0, raw_logprobs.shape[1]) for one in states]
    best, tokens = raw_logprobs.topk(max(widths), dim=-1)
    logprobs = raw_logprobs.gather(1, chosen[:, None])[:, 0].clamp(min=MIN_LOGPROB).tolist()
    rows = zip(
        states,
        chosen.tolist(),
        logprobs,
        tokens.tolist(),
        best.clamp(min=MIN_LOGPROB).tolist(),
        widths,
        strict=True,
    )
    for one, token, logprob, others, theirs, width in rows:
        top = tuple(zip(others[:width], theirs[:width], strict=True))
        one.logprobs.append(SampledLogprob(token, logprob, top))


def suppress_early_eos(logits: torch.Tensor, states: Sequence[SamplingState], eos: Sequence[int]) -> None:
    """Set the logits of end tokens to -inf, in place, for sequences whose output has fewer than min_tokens tokens.

    A sequence with a schema may end where its schema lets it, since nothing else may follow a complete JSON text.
    """
    early = [row for row, one in enumerate(states) if one.position < one.params.min_tokens and one.mask is None]
    if early and eos:
        rows, tokens = (torch.tensor(index, device=logits.device) for index in (early, list(eos)))
        logits[rows[:, None], tokens] = -torch.inf
    for row in early:
        if own := states[row].params.stop_token_ids:
            logits[row, torch.tensor(own, device=logits.device)] = -torch.inf


def apply_penalties(logits: torch.Tensor, states: Sequence[SamplingState]) -> None:
    """Apply penalties and biases to the logits, in place.

    The repetition penalty changes the logits of tokens in the prompt or the output (CTRL: arXiv 1909.05858). Presence and
    frequency penalties change those of tokens in the output (OpenAI's API).
    """
    repeated = [
        (row, token, one.params.repetition_penalty)
        for row, one in enumerate(states)
        if one.params.repetition_penalty != 1.0
        for token in chain(one.prompt, one.output.keys() - one.prompt)
    ]
    if repeated:
        rows, tokens, penalty = _columns(repeated, logits.device)
        before = logits[rows, tokens]
        logits[rows, tokens] = torch.where(before > 0, before / penalty, before * penalty)
    added = [
        (row, token, -(one.params.presence_penalty + one.params.frequency_penalty * times))
        for row, one in enumerate(states)
        if one.params.presence_penalty or one.params.frequency_penalty
        for token, times in one.output.items()
    ]
    added += [(row, token, bias) for row, one in enumerate(states) for token, bias in one.params.logit_bias.items()]
    if added:
        rows, tokens, bias = _columns(added, logits.device)
        logits.index_put_((rows, tokens), bias, accumulate=True)


def draw(logits: torch.Tensor, states: Sequence[SamplingState]) -> torch.Tensor:
    """Return tokens [sequences], each drawn from the softmax of its sequence's filtered logits [sequences, vocabulary]."""
    device = logits.device
    temperatures = torch.tensor([one.params.temperature for one in states], device=device)
    probabilities = (logits / temperatures[:, None]).softmax(-1)
    uniforms = torch.tensor([uniform(one) for one in states], dtype=torch.float64, device=device)
    filtered = [row for row, one in enumerate(states) if _has_filters(one.params, logits.shape[1])]
    if not filtered:
        return _inverse_cdf(probabilities, uniforms)
    if len(filtered) == len(states):
        return _draw_filtered(probabilities, [one.params for one in states], uniforms)
    tokens = _inverse_cdf(probabilities, uniforms)
    rows = torch.tensor(filtered, device=device)
    params = [states[row].params for row in filtered]
    tokens[rows] = _draw_filtered(probabilities.index_select(0, rows), params, uniforms[rows])
    return tokens


def uniform(state: SamplingState) -> float:
    """Return a number in [0, 1) that depends only on the seed and the position."""
    digest = hashlib.sha256(f"{state.params.seed or 0}/{state.position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * (1 - 1e-12)


def _has_filters(params: SamplingParams, vocabulary: int) -> bool:
    return 0 < params.top_k < vocabulary or params.top_p < 1.0 or params.min_p > 0.0


def _inverse_cdf(probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return the first index in each sequence [sequences] at which the cumulative probability passes its uniform number.

    The probabilities [sequences, n] need not add up to 1.
    """
    sums = probabilities.cumsum(-1, dtype=torch.float64)
    places = torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True)
    return places[:, 0].clamp_(max=probabilities.shape[1] - 1)


def _draw_filtered(
    probabilities: torch.Tensor, params: Sequence[SamplingParams], uniforms: torch.Tensor
) -> torch.Tensor:
    """Return tokens [sequences], drawn within top_k, top_p and min_p.

    They are drawn from the most likely tokens, or from the whole vocabulary if the filters keep more (`CANDIDATES`).
    """
    top_ks = [one.top_k for one in params if 0 < one.top_k < probabilities.shape[1]]
    kept, tokens = candidates(probabilities, params, max([CANDIDATES, *top_ks]))
    drawn = tokens.gather(1, _inverse_cdf(kept, uniforms)[:, None])[:, 0]
    cut_off = (kept[:, -1] > 0).tolist() if kept.shape[1] < probabilities.shape[1] else []
    for row, one in enumerate(params):
        if row < len(cut_off) and cut_off[row] and one.top_k != kept.shape[1]:
            kept_all, all_tokens = candidates(probabilities[row : row + 1], [one], probabilities.shape[1])
            drawn[row] = all_tokens[0, _inverse_cdf(kept_all, uniforms[row : row + 1])[0]]
    return drawn


def candidates(
    probabilities: torch.Tensor, params: Sequence[SamplingParams], width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two tensors [sequences, width]: the probabilities of each sequence's most likely tokens, and those tokens.

    The most likely token comes first. A probability is 0 if a filter excludes its token.
    """
    best, tokens = probabilities.topk(min(width, probabilities.shape[1]), dim=-1)
    vocabulary = probabilities.shape[1]
    limits = [one.top_k if 0 < one.top_k < vocabulary else vocabulary for one in params]
    return _filtered(best, probabilities.sum(-1), params, limits), tokens


def _filtered(
    best: torch.Tensor, total: torch.Tensor, params: Sequence[SamplingParams], limits: Sequence[int]
) -> torch.Tensor:
    """Return `best` [sequences, n], descending probabilities, with 0 for each that a filter excludes. The first always stays."""
    device, ranks = best.device, torch.arange(best.shape[1], device=best.device)
    limit = torch.tensor(limits, device=device)[:, None]
    kept = best.masked_fill(ranks >= limit, 0.0)
    total = torch.where(limit[:, 0] <= best.shape[1], kept.sum(-1), total)  # top_p is a fraction of what top_k left
    top_p = torch.tensor([one.top_p for one in params], dtype=torch.float64, device=device)[:, None]
    before = kept.cumsum(-1, dtype=torch.float64) - kept
    kept = kept.masked_fill((before >= top_p * total[:, None]) & (ranks > 0) & (top_p < 1.0), 0.0)
    min_p = torch.tensor([one.min_p for one in params], device=device)[:, None]
    return kept.masked_fill(kept < min_p * best[:, :1], 0.0)


def _columns(
    cells: Sequence[tuple[int, int, float]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows, tokens, values = zip(*cells, strict=True)
    return (
        torch.tensor(rows, device=device),
        torch.tensor(tokens, device=device),
        torch.tensor(values, dtype=torch.float32, device=device),
    )
