"""A stopping criterion for `generate` of transformers. It ends each sequence of a padded batch by the rules of `endings`."""

from collections.abc import Callable, Container, Sequence

import torch

from workers.engines.text.encoding import Encoded
from workers.engines.text.endings import Ending, ending_of
from workers.engines.text.reasoning import Thoughts


class Stopping:
    """The stopping criterion.

    `endings` says how each sequence ended; None for a sequence that has not ended.

    Args:
        batch: The requests with their prompts, one for each sequence.
        width: The padded length of the prompts, in tokens.
        eos: The end tokens of the model.
        decode: Turns tokens into text, without special tokens.
        cancelled: The ids of cancelled requests. Other threads may add ids.
    """

    def __init__(
        self,
        batch: Sequence[Encoded],
        *,
        width: int,
        eos: Container[int],
        decode: Callable[[list[int]], str],
        cancelled: Container[str],
    ) -> None:
        self._requests = [one.request for one in batch]
        self._thoughts = [Thoughts(one.thinking) if one.thinking is not None else None for one in batch]
        self._mixed_stops = [one.mixed_stops for one in batch]
        self._width = width
        self._eos = eos
        self._decode = decode
        self._cancelled = cancelled
        self.endings: list[Ending | None] = [None] * len(batch)

    def __call__(self, input_ids: torch.Tensor, _scores: object) -> torch.Tensor:
        """Return whether each sequence has ended [sequences]. `generate` calls this after each new token."""
        written = input_ids[:, self._width :].tolist()
        for row, ended in enumerate(self.endings):
            if ended is None:
                self.endings[row] = self._ending(row, written[row])
        return torch.tensor([ended is not None for ended in self.endings], device=input_ids.device)

    def _ending(self, row: int, tokens: list[int]) -> Ending | None:
        request = self._requests[row]
        return ending_of(
            tokens,
            request.prompt.params,
            eos=self._eos,
            decode=self._decode,
            cancelled=request.request_id in self._cancelled,
            thoughts=self._thoughts[row],
            mixed_stops=self._mixed_stops[row],
        )
