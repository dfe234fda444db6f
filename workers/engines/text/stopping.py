"""When the rows of a batch end: at the model's own end, a stop text, max_tokens, or because they were cancelled."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import torch

from jobs.generation import FinishReason, GenerationRequest, TokenLogprob
from workers.engines.text.stop_texts import stop_at


@dataclass(frozen=True, slots=True)
class Ending:
    """How a row ended, its text, how many tokens it took, an end token included, and how likely each was, where asked."""

    reason: FinishReason
    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


class Stopping:
    """A stopping criterion for `generate` that remembers how each row ended.

    Args:
        requests: One a row.
        width: The padded length of the prompts.
        eos: The tokens that end a text.
        decode: Tokens to text, without the special ones.
        cancelled: The ids of the requests to end; other threads may add to it.
    """

    def __init__(
        self,
        requests: Sequence[GenerationRequest],
        *,
        width: int,
        eos: Container[int],
        decode: Callable[[list[int]], str],
        cancelled: Container[str],
    ) -> None:
        self._requests = requests
        self._width = width
        self._eos = eos
        self._decode = decode
        self._cancelled = cancelled
        self.endings: list[Ending | None] = [None] * len(requests)

    def __call__(self, input_ids: torch.Tensor, _scores: object) -> torch.Tensor:
        """Which rows [rows] have ended. Called once for each new token."""
        written = input_ids[:, self._width :].tolist()
        for row, ended in enumerate(self.endings):
            if ended is None:
                self.endings[row] = self._ending(self._requests[row], written[row])
        return torch.tensor([ended is not None for ended in self.endings], device=input_ids.device)

    def _ending(self, request: GenerationRequest, tokens: list[int]) -> Ending | None:
        params = request.prompt.params
        if params.stop and len(tokens) >= params.min_tokens:
            text = self._decode(tokens)
            floor = len(self._decode(tokens[: max(0, params.min_tokens - 1)]))
            if (cut := stop_at(text, params.stop, floor)) is not None:
                return Ending("stop", text[:cut], len(tokens))
        reason: FinishReason
        if tokens[-1] in self._eos and len(tokens) >= params.min_tokens:
            reason = "stop"
        elif request.request_id in self._cancelled:
            reason = "cancelled"
        elif len(tokens) >= params.max_tokens:
            reason = "length"
        else:
            return None
        return Ending(reason, self._decode(tokens), len(tokens))
