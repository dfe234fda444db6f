"""A stopping criterion for `generate` of transformers. It ends each sequence of a padded batch by the rules of `endings`."""

from collections.abc import Callable, Container, Sequence

import torch

from jobs.generation import GenerationRequest
from workers.engines.text.endings import Ending, ending_of


class Stopping:
    """The stopping criterion.

    `endings` says how each sequence ended; None for a sequence that has not ended.

    Args:
        requests: The requests, one for each sequence.
        width: The padded length of the prompts, in tokens.
        eos: The end tokens of the model.
        decode: Turns tokens into text, without special tokens.
        cancelled: The ids of cancelled requests. Other threads may add ids.
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
        """Return whether each sequence has ended [sequences]. `generate` calls this after each new token."""
        written = input_ids[:, self._width :].tolist()
        for row, ended in enumerate(self.endings):
            if ended is None:
                self.endings[row] = self._ending(self._requests[row], written[row])
        return torch.tensor([ended is not None for ended in self.endings], device=input_ids.device)

    def _ending(self, request: GenerationRequest, tokens: list[int]) -> Ending | None:
        cancelled = request.request_id in self._cancelled
        return ending_of(tokens, request.prompt.params, eos=self._eos, decode=self._decode, cancelled=cancelled)
