"""How the next tokens of many texts are chosen at once: each by its own params, and by its own random numbers.

A draw inverts the distribution function at one uniform number, which follows from the request's seed and the token's
position alone, so who shares the step is no matter. Filters are applied as transformers does: temperature, top_k, top_p
(Holtzman et al. 2020: arXiv 1904.09751), min_p (arXiv 2407.01082). Log probabilities that a request asks for are the model's
own, taken before any of these (vLLM's `raw_logprobs`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import torch

from jobs.generation import MIN_LOGPROB, SamplingParams
from workers.engines.text.encoding import Likelihood

CANDIDATES: Final = 256
"""Among so many of the likeliest tokens the end of top_p is looked for, before all are sorted."""

BLOCK: Final = 1024
"""Scores that are searched for the place of the highest; of the others only the highest is looked for."""


@dataclass(slots=True)
class Drawing:
    """One text as the sampler sees it: its params, the tokens of its prompt, and those written, counted.

    `likelihoods` has one for each choice, where the params ask for them. `forced` tokens are taken in place of a choice.
    """

    params: SamplingParams
    prompt: frozenset[int]
    written: Counter[int] = field(default_factory=Counter)
    position: int = 0
    likelihoods: list[Likelihood] = field(default_factory=list)
    forced: Sequence[int] = ()

    @classmethod
    def of(
        cls, params: SamplingParams, prompt: Iterable[int], written: Sequence[int] = (), forced: Sequence[int] = ()
    ) -> "Drawing":
        """For a text that has got so far."""
        penalises = params.repetition_penalty != 1.0
        return cls(
            params, frozenset(prompt) if penalises else frozenset(), Counter(written), len(written), forced=forced
        )

    @property
    def weighs(self) -> bool:
        """Whether more than the order of the scores matters."""
        params = self.params
        changed = params.repetition_penalty != 1.0 or params.presence_penalty or params.frequency_penalty
        return bool(params.temperature > 0 or changed or params.logit_bias or params.logprobs is not None)

    def ahead(self, choices: int) -> list["Drawing"]:
        """Itself at so many places from here on, of which all but the first follow forced tokens only."""
        return [self, *(replace(self, position=self.position + n) for n in range(1, choices))]

    def take(self, token: int) -> None:
        """A token was written."""
        self.written[token] += 1
        self.position += 1


def choose(scores: torch.Tensor, drawings: Sequence[Drawing], eos: Sequence[int]) -> torch.Tensor:
    """The next token of each text [texts] from the logits [texts, vocabulary], which are changed."""
    asked = [row for row, one in enumerate(drawings) if one.params.logprobs is not None]
    own = scores[torch.tensor(asked, device=scores.device)].float().log_softmax(-1) if asked else None
    hold_open(scores, drawings, eos)
    if not any(one.weighs for one in drawings):
        return most_likely(scores)
    scores = scores.float()
    adjust(scores, drawings)
    chosen = most_likely(scores)
    drawn = [row for row, one in enumerate(drawings) if one.params.temperature > 0]
    if drawn:
        all_of_them = len(drawn) == len(drawings)
        rows = torch.tensor(drawn, device=scores.device)
        picked = scores if all_of_them else scores.index_select(0, rows)
        chosen[rows] = draw(picked, [drawings[row] for row in drawn])
    for row, one in enumerate(drawings):
        if one.position < len(one.forced):
            chosen[row] = one.forced[one.position]
    if own is not None:
        note(own, chosen[torch.tensor(asked, device=chosen.device)], [drawings[row] for row in asked])
    return chosen


def most_likely(scores: torch.Tensor) -> torch.Tensor:
    """The first place of the highest score [texts] of scores [texts, vocabulary].

    On a CPU a search for a place takes several times a search for the highest alone, so it is made in one block a text only.
    """
    if scores.device.type != "cpu":
        return scores.argmax(-1)
    vocabulary = scores.shape[1]
    if vocabulary <= BLOCK:
        only: torch.Tensor = scores.max(-1).indices
        return only
    whole = vocabulary // BLOCK * BLOCK
    highest = scores[:, :whole].reshape(len(scores), -1, BLOCK).amax(-1)
    if whole < vocabulary:
        highest = torch.cat([highest, scores[:, whole:].amax(-1, keepdim=True)], 1)
    start = highest.max(-1).indices * BLOCK
    places = (start[:, None] + torch.arange(BLOCK)).clamp_(max=vocabulary - 1)
    first: torch.Tensor = start + scores.gather(1, places).max(-1).indices
    return first


def note(own: torch.Tensor, chosen: torch.Tensor, drawings: Sequence[Drawing]) -> None:
    """Remember how likely the chosen tokens [texts] were by log probabilities [texts, vocabulary], and which were likeliest."""
    widths = [min(one.params.logprobs or 0, own.shape[1]) for one in drawings]
    best, tokens = own.topk(max(widths), dim=-1)
    likely = own.gather(1, chosen[:, None])[:, 0].clamp(min=MIN_LOGPROB).tolist()
    rows = zip(
        drawings, chosen.tolist(), likely, tokens.tolist(), best.clamp(min=MIN_LOGPROB).tolist(), widths, strict=True
    )
    for one, token, logprob, others, theirs, width in rows:
        top = tuple(zip(others[:width], theirs[:width], strict=True))
        one.likelihoods.append(Likelihood(token, logprob, top))


def hold_open(scores: torch.Tensor, drawings: Sequence[Drawing], eos: Sequence[int]) -> None:
    """Let no text end before its min_tokens: in place, and exact in any number format."""
    early = [row for row, one in enumerate(drawings) if one.position < one.params.min_tokens]
    if early and eos:
        rows, tokens = (torch.tensor(places, device=scores.device) for places in (early, list(eos)))
        scores[rows[:, None], tokens] = -torch.inf


def adjust(scores: torch.Tensor, drawings: Sequence[Drawing]) -> None:
    """Penalties and biases, in place.

    Repetition is over prompt and text (CTRL: arXiv 1909.05858), presence and frequency over the text (OpenAI's API).
    """
    repeated = [
        (row, token, one.params.repetition_penalty)
        for row, one in enumerate(drawings)
        if one.params.repetition_penalty != 1.0
        for token in chain(one.prompt, one.written.keys() - one.prompt)
    ]
    if repeated:
        rows, tokens, penalty = _columns(repeated, scores.device)
        before = scores[rows, tokens]
        scores[rows, tokens] = torch.where(before > 0, before / penalty, before * penalty)
    added = [
        (row, token, -(one.params.presence_penalty + one.params.frequency_penalty * times))
        for row, one in enumerate(drawings)
        if one.params.presence_penalty or one.params.frequency_penalty
        for token, times in one.written.items()
    ]
    added += [(row, token, bias) for row, one in enumerate(drawings) for token, bias in one.params.logit_bias.items()]
    if added:
        rows, tokens, bias = _columns(added, scores.device)
        scores.index_put_((rows, tokens), bias, accumulate=True)


def draw(scores: torch.Tensor, drawings: Sequence[Drawing]) -> torch.Tensor:
    """A token for each text [texts] from the softmax of scores [texts, vocabulary], within its filters."""
    device = scores.device
    heat = torch.tensor([one.params.temperature for one in drawings], device=device)
    likely = (scores / heat[:, None]).softmax(-1)
    chances = torch.tensor([chance(one) for one in drawings], dtype=torch.float64, device=device)
    filtered = [row for row, one in enumerate(drawings) if _filters(one.params, scores.shape[1])]
    if not filtered:
        return _invert(likely, chances)
    if len(filtered) == len(drawings):
        return _draw_filtered(likely, [one.params for one in drawings], chances)
    tokens = _invert(likely, chances)
    rows = torch.tensor(filtered, device=device)
    params = [drawings[row].params for row in filtered]
    tokens[rows] = _draw_filtered(likely.index_select(0, rows), params, chances[rows])
    return tokens


def chance(drawing: Drawing) -> float:
    """A number in [0, 1) that follows from the seed and the position."""
    digest = hashlib.sha256(f"{drawing.params.seed or 0}/{drawing.position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * (1 - 1e-12)


def _filters(params: SamplingParams, vocabulary: int) -> bool:
    return 0 < params.top_k < vocabulary or params.top_p < 1.0 or params.min_p > 0.0


def _invert(likely: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """The places [texts] at which the sums of the probabilities [texts, n], which need not add up to 1, pass the chances."""
    sums = likely.cumsum(-1, dtype=torch.float64)
    places = torch.searchsorted(sums, chances[:, None] * sums[:, -1:], right=True)
    return places[:, 0].clamp_(max=likely.shape[1] - 1)


def _draw_filtered(likely: torch.Tensor, params: Sequence[SamplingParams], chances: torch.Tensor) -> torch.Tensor:
    """The same within top_k, top_p and min_p, among the likeliest tokens first; what does not end there is sorted as a whole."""
    asked = [one.top_k for one in params if 0 < one.top_k < likely.shape[1]]
    kept, tokens = candidates(likely, params, max([CANDIDATES, *asked]))
    drawn = tokens.gather(1, _invert(kept, chances)[:, None])[:, 0]
    cut_off = (kept[:, -1] > 0).tolist() if kept.shape[1] < likely.shape[1] else []
    for row, one in enumerate(params):
        if row < len(cut_off) and cut_off[row] and one.top_k != kept.shape[1]:
            kept_all, all_tokens = candidates(likely[row : row + 1], [one], likely.shape[1])
            drawn[row] = all_tokens[0, _invert(kept_all, chances[row : row + 1])[0]]
    return drawn


def candidates(likely: torch.Tensor, params: Sequence[SamplingParams], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `width` likeliest tokens of each text, likeliest first: their probabilities, 0 where a filter excludes it, and they."""
    best, tokens = likely.topk(min(width, likely.shape[1]), dim=-1)
    vocabulary = likely.shape[1]
    limits = [one.top_k if 0 < one.top_k < vocabulary else vocabulary for one in params]
    return _within(best, likely.sum(-1), params, limits), tokens


def _within(
    best: torch.Tensor, total: torch.Tensor, params: Sequence[SamplingParams], limits: Sequence[int]
) -> torch.Tensor:
    """Descending probabilities [texts, n] with 0 for those that the filters exclude. The likeliest always stays."""
    device, places = best.device, torch.arange(best.shape[1], device=best.device)
    limit = torch.tensor(limits, device=device)[:, None]
    kept = best.masked_fill(places >= limit, 0.0)
    total = torch.where(limit[:, 0] <= best.shape[1], kept.sum(-1), total)  # top_p is of what top_k left
    top_p = torch.tensor([one.top_p for one in params], dtype=torch.float64, device=device)[:, None]
    before = kept.cumsum(-1, dtype=torch.float64) - kept
    kept = kept.masked_fill((before >= top_p * total[:, None]) & (places > 0) & (top_p < 1.0), 0.0)
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
