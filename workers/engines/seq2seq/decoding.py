"""What `generate` of transformers is told about each row of a batch: its first token, its limits, and its next tokens.

`generate` has one setting for a whole batch. Here each row has its own: the language that its translation begins with, its
sampling params, and its `max_tokens`.
"""

from collections.abc import Container, Sequence

import torch

from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.families.family import TranslationInput


class RowSampler:
    """A logits processor for `generate(do_sample=False)`, which takes the token with the highest logit.

    It chooses a token for each row by the row's params, seed and position, and sets the logits of all other tokens to -inf.

    Args:
        batch: The requests, one for each row.
        width: The number of tokens that the decoder reads before it writes.
        eos: The token that ends a translation.
        never: Tokens that the model must not write.
    """

    def __init__(self, batch: Sequence[TranslationInput], width: int, eos: int, never: Sequence[int]) -> None:
        self._width, self._eos, self._never = width, eos, list(never)
        self.states = [SamplingState.of(one.request.prompt.params, (one.start, *one.forced)) for one in batch]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] > self._width:
            for state, token in zip(self.states, input_ids[:, -1].tolist(), strict=True):
                state.append(token)
        scores[:, self._never] = -torch.inf
        sampled = sample(scores, self.states, (self._eos,))
        return torch.full_like(scores, -torch.inf).scatter_(1, sampled[:, None], 0.0)


class RowBeams:
    """A logits processor for beams: each row's translation begins with its forced tokens, and does not end too early.

    The forced tokens count for the length penalty, as those of `forced_bos_token_id` do.
    """

    def __init__(self, batch: Sequence[TranslationInput], beams: int, eos: int, never: Sequence[int]) -> None:
        self._batch, self._beams, self._eos, self._never = batch, beams, eos, list(never)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, self._never] = -torch.inf
        written = input_ids.shape[1] - 1
        for row, one in enumerate(self._batch):
            rows = slice(row * self._beams, (row + 1) * self._beams)
            if written < len(one.forced):
                scores[rows] = -torch.inf
                scores[rows, one.forced[written]] = 0.0
            elif written - len(one.forced) < one.request.prompt.params.min_tokens:
                scores[rows, self._eos] = -torch.inf
        return scores


class RowLimits:
    """A stopping criterion for beams: a row ends at its own `max_tokens`, or when it is cancelled."""

    def __init__(self, batch: Sequence[TranslationInput], cancelled: Container[str]) -> None:
        self._batch, self._cancelled = batch, cancelled

    def __call__(self, input_ids: torch.Tensor, _scores: object) -> torch.Tensor:
        written = input_ids.shape[1] - 1
        ended = [
            written - len(one.forced) >= one.request.prompt.params.max_tokens
            or one.request.request_id in self._cancelled
            for one in self._batch
        ]
        candidates = input_ids.shape[0] // len(self._batch)
        return torch.tensor(ended, device=input_ids.device).repeat_interleave(candidates)
