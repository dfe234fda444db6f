"""The networks of encoders: their vectors of tokens, their scores of classes, and their scores of tokens for gaps.

The head that fills gaps has an output for each token of the vocabulary. Over whole texts that is more work than some networks
themselves, and gigabytes, so it runs at the gaps alone where the network has its head in one piece. This is tried once: if it
gives other scores than the whole network does, the whole network is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

_GAP_HEADS: Final = ("cls", "lm_head", "predictions")
"""The attributes that hold the whole head of a network that fills gaps: of BERT, RoBERTa, ALBERT and their kin."""

GAPS_AT_ONCE: Final = 128
"""The head alone runs at this many gaps at once. Of a large vocabulary, the scores of these have 128 MB."""

_CLOSE: Final = 1e-2
"""How far scores of the head alone may be from those of the whole network, as a part of the largest. In 16 bits they are no
closer."""


@dataclass(frozen=True, slots=True)
class Padded:
    """The tokens of several texts, padded on the right, and 1 for each token in `mask` [texts, width]."""

    ids: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(cls, texts: Sequence[list[int]], pad: int, device: torch.device) -> "Padded":
        """Return the texts, each as wide as the longest."""
        width = max(map(len, texts))
        ids = [tokens + [pad] * (width - len(tokens)) for tokens in texts]
        mask = [[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in texts]
        return cls(torch.tensor(ids, device=device), torch.tensor(mask, device=device))


class Heads:
    """A network with its heads. All its methods want `torch.inference_mode()`.

    Args:
        network: A network of transformers.
        mask_token: The mask token, if the network fills gaps.
    """

    def __init__(self, network: Any, mask_token: int | None = None) -> None:
        self._network, self._mask_token = network, mask_token
        self._gap_head: Any = None
        if mask_token is not None:
            with torch.inference_mode():
                self._gap_head = self._found_gap_head(mask_token)

    @property
    def has_gap_head(self) -> bool:
        """Whether gaps are filled without the scores of all other places."""
        return self._gap_head is not None

    def hidden(self, texts: Padded) -> torch.Tensor:
        """Return the vectors of the tokens [texts, width, size]."""
        found: torch.Tensor = self._network.base_model(texts.ids, attention_mask=texts.mask)[0]
        return found

    def classes(self, texts: Padded) -> torch.Tensor:
        """Return the log probabilities of the classes [texts, classes]."""
        logits: torch.Tensor = self._network(texts.ids, attention_mask=texts.mask).logits.float()
        if self._network.config.problem_type == "multi_label_classification":
            return torch.nn.functional.logsigmoid(logits)
        return logits.log_softmax(-1)

    def gaps(self, texts: Padded, top: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the log probabilities of the `top` likeliest tokens at the gaps of all texts, from left to right, and the tokens
        [gaps, top].
        """
        at = texts.ids == self._mask_token
        if self._gap_head is None:
            parts = [self._network(texts.ids, attention_mask=texts.mask).logits[at]]
        else:
            parts = [self._gap_head(one) for one in torch.split(self.hidden(texts)[at], GAPS_AT_ONCE)]
        best = [part.float().log_softmax(-1).topk(min(top, part.shape[-1])) for part in parts]
        return torch.cat([one.values for one in best]), torch.cat([one.indices for one in best])

    def _found_gap_head(self, mask_token: int) -> Any:
        """Return the head of the network, if it gives the scores of the whole network; else None."""
        head = next((one for name in _GAP_HEADS if (one := getattr(self._network, name, None)) is not None), None)
        if head is None:
            return None
        device = self._network.device
        texts = Padded.of([[mask_token, mask_token], [mask_token]], mask_token, device)
        whole = self._network(texts.ids, attention_mask=texts.mask).logits[:, 0].float()
        try:
            alone = head(self.hidden(texts)[:, 0])
        except (TypeError, RuntimeError, AttributeError):  # a head of another form
            return None
        if not isinstance(alone, torch.Tensor) or alone.shape != whole.shape:
            return None
        return head if (alone.float() - whole).abs().max() <= _CLOSE * whole.abs().max() else None
