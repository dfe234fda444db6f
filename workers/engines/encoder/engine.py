"""The engine `encoder` runs texts in batches of about the same length, each in one pass of the network.

Nothing is written and nothing is sampled: a completion has an Encoding, no text and no tokens of its own. In float32 what is
found for a text does not depend on the others of its batch, but for the last digits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from jobs.generation import Completion, Encoding, Fault, GenerationRequest, Pooling, TokenLogprob
from workers.engines.batching import BatchEngine, batch_of_oldest
from workers.engines.causal.faults import fault_alone
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement
from workers.engines.encoder.heads import Heads, Padded
from workers.engines.encoder.pooling import pooled
from workers.engines.encoder.reader import EncoderInput, Reader
from workers.engines.text.endings import Ending

SCORES_BYTES: Final = 256 << 20
"""The most bytes of the scores of a batch, in float32, if a network fills gaps and scores every place of a text."""


@dataclass(frozen=True, slots=True)
class EncoderModel:
    """A loaded model: its networks, its reader and its placement."""

    heads: Heads
    reader: Reader
    placement: Placement


class EncoderEngine(BatchEngine[EncoderInput]):
    """Runs requests in batches.

    Args:
        model: A loaded model.
        slots: The largest number of requests in a step.
        batch_tokens: The most tokens of a batch, if each text counts as many as the longest has.
        core: The core to which the thread that steps the engine is pinned.
        began_ns: When loading began, by `clock_ns`. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: EncoderModel,
        *,
        slots: int,
        batch_tokens: int,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model, self._batch_tokens = model, batch_tokens
        self._core, self._is_pinned = core, core is None
        super().__init__(
            model.placement.device_name, slots=slots, output_weight=1, began_ns=began_ns, clock_ns=clock_ns
        )

    def close(self) -> None:
        if self._core is not None:
            self._core.free()
        del self._model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _read(self, request: GenerationRequest) -> EncoderInput | Fault | Completion:
        return self._model.reader.read(request)

    def _choose(self, waiting: Sequence[EncoderInput]) -> list[EncoderInput]:
        wanted = waiting[0].asked.wanted
        alike = [one for one in waiting if one.asked.wanted == wanted]
        tokens = self._batch_tokens
        if wanted == "fills" and not self._model.heads.has_gap_head:
            tokens = min(tokens, SCORES_BYTES // (4 * self._model.reader.vocabulary))
        return batch_of_oldest(alike, lambda one: len(one.tokens), self._slots, tokens)

    def _fault_of(self, error: Exception) -> Fault:
        return fault_alone(error)

    def _run(self, batch: Sequence[EncoderInput]) -> list[Ending]:
        if self._core is not None and not self._is_pinned:
            self._core.pin()
            self._is_pinned = True
        reader = self._model.reader
        texts = Padded.of([one.tokens for one in batch], reader.pad, self._model.placement.device)
        with torch.inference_mode():
            match batch[0].asked.wanted:
                case "vector":
                    found = self._vectors(batch, texts)
                case "classes":
                    found = self._classes(batch, texts)
                case _:
                    found = self._fills(batch, texts)
        return [Ending("stop", "", 0, encoding=one) for one in found]

    def _vectors(self, batch: Sequence[EncoderInput], texts: Padded) -> list[Encoding]:
        hidden, own = self._model.heads.hidden(texts), self._model.reader.files.pooling
        wanted = [one.asked.pooling or own for one in batch]
        by_pooling: dict[Pooling, np.ndarray] = {
            one: pooled(hidden, texts.mask, one).cpu().numpy() for one in dict.fromkeys(wanted)
        }
        return [Encoding(vector=self._cut(one, by_pooling[wanted[n]][n])) for n, one in enumerate(batch)]

    def _cut(self, one: EncoderInput, vector: np.ndarray) -> bytes:
        """Return the bytes of a vector, cut to the wanted dimensions and of the length 1 if that is wanted."""
        asked, kept = one.asked, vector[: one.asked.dimensions]
        normalize = asked.normalize
        if normalize is None:
            normalize = self._model.reader.files.normalize or asked.dimensions is not None
        if normalize and (length := float(np.linalg.norm(kept))):
            kept = kept / np.float32(length)
        return kept.astype("<f4").tobytes()

    def _classes(self, batch: Sequence[EncoderInput], texts: Padded) -> list[Encoding]:
        names, scores = self._model.reader.classes, self._model.heads.classes(texts).tolist()
        return [
            Encoding(classes=tuple((names[n], row[n]) for n in one.classes or range(len(names))))
            for one, row in zip(batch, scores, strict=True)
        ]

    def _fills(self, batch: Sequence[EncoderInput], texts: Padded) -> list[Encoding]:
        top = max(one.asked.top for one in batch)
        logprobs, tokens = self._model.heads.gaps(texts, top)
        gaps = zip(logprobs.tolist(), tokens.tolist(), strict=True)
        mask, found = self._model.reader.mask_token, []
        for one in batch:
            own = [next(gaps) for _ in range(one.tokens.count(mask))]
            found.append(Encoding(fills=tuple(self._tokens(*gap, one.asked.top) for gap in own)))
        return found

    def _tokens(self, logprobs: Sequence[float], tokens: Sequence[int], top: int) -> tuple[TokenLogprob, ...]:
        reader = self._model.reader
        return tuple(
            TokenLogprob(token, reader.text_of(token), logprob)
            for token, logprob in zip(tokens[:top], logprobs[:top], strict=True)
        )
