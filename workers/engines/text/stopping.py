"""A stopping criterion for `generate` of transformers: it ends each row of a padded batch by the rules of `endings`."""

from collections.abc import Callable, Container, Sequence

import torch

from jobs.generation import GenerationRequest
from workers.engines.text.endings import Ending, ending_of


class Stopping:
    """The criterion. It remembers in `endings` how each row ended.

    Args:
        requests: One for each row.
        width: The padded length of the prompts, in tokens.
        eos: The tokens that the model ends with.
        decode: Turns tokens into text, without special tokens.
        cancelled: The ids of cancelled requests. Other threads may add to it.
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
        """Return for each row [rows] whether it has ended. `generate` calls this once for each new token."""
        written = input_ids[:, self._width :].tolist()
        for row, ended in enumerate(self.endings):
            if ended is None:
                self.endings[row] = self._ending(self._requests[row], written[row])
        return torch.tensor([ended is not None for ended in self.endings], device=input_ids.device)

    def _ending(self, request: GenerationRequest, tokens: list[int]) -> Ending | None:
        cancelled = request.request_id in self._cancelled
        return ending_of(tokens, request.prompt.params, eos=self._eos, decode=self._decode, cancelled=cancelled)
