"""The engine `seq2seq` runs encoder-decoder models in batches, by `generate` of transformers.

A batch has requests of about the same length, and any languages. Requests that sample, that have penalties or biases, or that ask
for log probabilities are decoded token by token, each with its own random numbers; all others are searched with beams if the
model's card has more than one. In float32 a translation does not depend on the others of its batch.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from jobs.generation import Fault, GenerationRequest
from workers.engines.batching import BatchEngine, batch_of_oldest
from workers.engines.causal.faults import fault_alone
from workers.engines.causal.sampler import SamplingState
from workers.engines.device.pinning import Core
from workers.engines.device.placement import Placement
from workers.engines.families.codec import Codec
from workers.engines.families.family import TranslationInput
from workers.engines.seq2seq.decoding import RowBeams, RowLimits, RowSampler
from workers.engines.text.encoding import Encoded
from workers.engines.text.endings import Ending, ending_of, further_texts
from workers.engines.text.stopping import Stopping

OUTPUT_WEIGHT: Final = 6
"""When a step's time is split over its requests, a token of a translation counts as this many tokens of a text.
Measured with a Marian of 6 and 6 layers on one core: 6.4. (With 4 beams 12.8; all requests of a batch have the same beams.)"""


@dataclass(frozen=True, slots=True)
class Seq2SeqModel:
    """A loaded model: its network, its codec, its placement, and the tokens that it must not write."""

    network: Any
    codec: Codec
    placement: Placement
    never: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """How translations are searched for: the number of beams, and the length penalty of the search."""

    beams: int = 1
    length_penalty: float = 1.0


class Seq2SeqEngine(BatchEngine[TranslationInput]):
    """Runs requests in batches.

    Args:
        model: A loaded model.
        slots: The largest number of requests in a step.
        batch_tokens: The most tokens of a batch, if each text counts as many as the longest has, times the beams.
        search: How translations are searched for.
        core: The core to which the thread that steps the engine is pinned.
        began_ns: When loading began, by `clock_ns`. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: Seq2SeqModel,
        *,
        slots: int,
        batch_tokens: int,
        search: Search,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model, self._search, self._batch_tokens = model, search, batch_tokens
        self._core, self._is_pinned = core, core is None
        super().__init__(
            model.placement.device_name, slots=slots, output_weight=OUTPUT_WEIGHT, began_ns=began_ns, clock_ns=clock_ns
        )

    def close(self) -> None:
        if self._core is not None:
            self._core.free()
        del self._model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _read(self, request: GenerationRequest) -> TranslationInput | Fault:
        return self._model.codec.encode(request)

    def _choose(self, waiting: Sequence[TranslationInput]) -> list[TranslationInput]:
        beams = self._beams(waiting[0])
        alike = [one for one in waiting if self._beams(one) == beams]
        return batch_of_oldest(alike, lambda one: len(one.tokens), self._slots, self._batch_tokens // beams)

    def _beams(self, one: TranslationInput) -> int:
        """Return the number of beams of a request: 1 if its params are about single tokens."""
        return self._search.beams if SamplingState.of(one.request.prompt.params, ()).is_argmax else 1

    def _fault_of(self, error: Exception) -> Fault:
        return fault_alone(error)

    def _run(self, batch: Sequence[TranslationInput]) -> list[Ending]:
        if self._core is not None and not self._is_pinned:
            self._core.pin()
            self._is_pinned = True
        with torch.inference_mode():
            return self._search_beams(batch) if self._beams(batch[0]) > 1 else self._decode(batch)

    def _decode(self, batch: Sequence[TranslationInput]) -> list[Ending]:
        """Write the translations token by token. Returns the ending of each."""
        codec, width = self._model.codec, 1 + len(batch[0].forced)
        read = [Encoded(one.request, [one.start, *one.forced]) for one in batch]
        stopping = Stopping(read, width=width, eos=(codec.eos,), decode=codec.decode, cancelled=self._cancelled)
        sampler = RowSampler(batch, width, codec.eos, self._model.never)
        self._generate(batch, [one.tokens for one in read], [sampler], [stopping])
        return [
            replace(ending, logprobs=codec.logprobs(state.logprobs[: ending.tokens]))
            for ending, state in zip(stopping.endings, sampler.states, strict=True)
            if ending is not None
        ]

    def _search_beams(self, batch: Sequence[TranslationInput]) -> list[Ending]:
        """Search the translations with beams. Returns the ending of each."""
        codec, beams = self._model.codec, self._search.beams
        each = min(beams, 1 + max(map(_alternatives, batch)))
        found = self._generate(
            batch,
            [[one.start] for one in batch],
            [RowBeams(batch, beams, codec.eos, self._model.never)],
            [RowLimits(batch, self._cancelled)],
            num_beams=beams,
            num_return_sequences=each,
            length_penalty=self._search.length_penalty,
            eos_token_id=codec.eos,
        )
        rows = [found[n * each : (n + 1) * each, 1 + len(one.forced) :].tolist() for n, one in enumerate(batch)]
        return [self._best(one, best_first) for one, best_first in zip(batch, rows, strict=True)]

    def _best(self, one: TranslationInput, found: Sequence[list[int]]) -> Ending:
        """Return how the best translation of a row ended, with the further ones that it wants. `found` has the best one first."""
        codec, ending = self._model.codec, self._ending(one, found[0])
        most = one.request.prompt.params.max_tokens
        whole = [tokens for tokens in found[1:] if codec.eos in tokens[:most]]
        return replace(ending, alternatives=further_texts(ending.text, whole, one.request, codec.decode))

    def _ending(self, one: TranslationInput, tokens: list[int]) -> Ending:
        """Return how a translation of beams ended. It may be followed by padding."""
        request, codec = one.request, self._model.codec
        params, tokens = request.prompt.params, tokens[: request.prompt.params.max_tokens]
        if request.request_id in self._cancelled:
            while tokens and tokens[-1] in (codec.pad, codec.eos):
                tokens.pop()
            return Ending("cancelled", codec.decode(tokens), len(tokens))
        written = tokens.index(codec.eos) + 1 if codec.eos in tokens else len(tokens)
        first = 1 if params.stop or params.stop_token_ids else written
        for size in range(first, written + 1):
            if ending := ending_of(tokens[:size], params, eos=(codec.eos,), decode=codec.decode):
                return ending
        return Ending("length", codec.decode(tokens), len(tokens))

    def _generate(
        self,
        batch: Sequence[TranslationInput],
        starts: Sequence[list[int]],
        processors: Sequence[Any],
        criteria: Sequence[Any],
        **settings: Any,
    ) -> torch.Tensor:
        """Run `generate` on texts [requests, width], padded on the right. Returns the decoder's tokens [requests, length]."""
        model, width = self._model, max(len(one.tokens) for one in batch)
        device, pad = model.placement.device, model.codec.pad
        sizes = [len(one.tokens) for one in batch]
        ids = [one.tokens + [pad] * (width - size) for one, size in zip(batch, sizes, strict=True)]
        mask = [[1] * size + [0] * (width - size) for size in sizes]
        most = max(one.request.prompt.params.max_tokens + len(one.forced) for one in batch) + 1
        found: torch.Tensor = model.network.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            decoder_input_ids=torch.tensor(starts, device=device),
            generation_config=GenerationConfig(
                do_sample=False,
                max_length=most,
                pad_token_id=pad,
                decoder_start_token_id=[one.start for one in batch],
                **settings,
            ),
            logits_processor=LogitsProcessorList(processors),
            stopping_criteria=StoppingCriteriaList(criteria),
        )
        return found


def _alternatives(one: TranslationInput) -> int:
    asked = one.request.prompt.translatable
    return 0 if asked is None else asked.alternatives
