"""The padded engine runs models that cannot run in slots: in padded batches, by `generate` of transformers.

A batch has the request that has waited longest, and those most similar to it in length, so that there is little padding. Each
request has its own sampling params, ending and random numbers.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from jobs.generation import Completion, Constraint, Fault, GenerationRequest
from workers.engines.batching import BatchEngine, Result
from workers.engines.causal.adapters.bank import BrokenAdapter
from workers.engines.causal.faults import fault_alone
from workers.engines.causal.masks import MaskMaker
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_batches import next_batch, with_room
from workers.engines.causal.runtime.rotary import UnknownSwitch, forget_lengths, length_switch
from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.causal.sequences import LengthSwitch
from workers.engines.text.encoding import Encoded
from workers.engines.text.endings import Ending
from workers.engines.text.grammar import Grammars
from workers.engines.text.stopping import Stopping

DECODE_WEIGHT: Final = 4
"""When a step's time is split over its requests (`time_shares`), a token of a completion counts as this many tokens of a prompt.
Measured with SmolLM2-135M on one core: 4.1 to 4.8."""


class PaddedEngine(BatchEngine[Encoded]):
    """Runs requests in padded batches.

    Args:
        model: A loaded model.
        slots: The largest number of requests in a step.
        began_ns: When loading began, by `clock_ns`. The engine's age counts from this time. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: CausalModel,
        *,
        slots: int,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._length_switch: LengthSwitch | None = None
        try:
            self._length_switch = length_switch(model.network)
        except UnknownSwitch:
            slots = 1
        grammars = Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos)
        self._masks = MaskMaker(grammars, on_cpu=model.placement.device.type == "cpu")
        self._constraints: dict[str, Constraint] = {}
        super().__init__(
            model.placement.device_name,
            slots=slots,
            output_weight=DECODE_WEIGHT,
            began_ns=began_ns,
            clock_ns=clock_ns,
        )

    def close(self) -> None:
        self._masks.close()
        del self._model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _read(self, request: GenerationRequest) -> Encoded | Fault:
        return self._model.adapter_fault(request.prompt.adapter) or self._model.encoder.encode(request)

    def _choose(self, waiting: Sequence[Encoded]) -> list[Encoded]:
        if self._model.adapters is not None:
            waiting = with_room(waiting, self._model.adapters.residency.places)
        return next_batch(waiting, self._slots, self._length_switch)

    def _fault_of(self, error: Exception) -> Fault:
        return error.fault if isinstance(error, BrokenAdapter) else fault_alone(error)

    def _finish_step(self, batch: Sequence[Encoded], results: Sequence[Result], spent_ns: int) -> list[Completion]:
        done = super()._finish_step(batch, results, spent_ns)
        return [replace(one, constraint=self._constraints.pop(one.request_id, one.constraint)) for one in done]

    @torch.inference_mode()
    def _run(self, batch: Sequence[Encoded]) -> list[Ending]:
        """Run `generate` on one batch of prompts [requests, width], padded on the left. Returns the ending of each request."""
        model, width = self._model, max(len(one.tokens) for one in batch)
        padding = [width - len(one.tokens) for one in batch]
        pad = model.encoder.tokenizer.pad_token_id
        pad = pad if pad is not None else next(iter(model.eos), 0)
        device = model.placement.device
        ids = torch.tensor([[pad] * n + one.tokens for n, one in zip(padding, batch, strict=True)], device=device)
        mask = torch.tensor([[0] * n + [1] * (width - n) for n in padding], device=device)
        params = [one.request.prompt.params for one in batch]
        stopping = Stopping(batch, width=width, eos=model.eos, decode=model.encoder.decode, cancelled=self._cancelled)
        sampler = _SamplerProcessor(batch, width, model.eos, self._masks)
        forget_lengths(model.network)
        with self._applied([one.request.prompt.adapter for one in batch]):
            model.network.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=GenerationConfig(
                    do_sample=False, max_new_tokens=max(one.max_tokens for one in params), pad_token_id=pad
                ),
                logits_processor=LogitsProcessorList([sampler]),
                stopping_criteria=StoppingCriteriaList([stopping]),
            )
        self._constraints |= sampler.constraints
        return [
            replace(ending, logprobs=model.encoder.logprobs(state.logprobs[: ending.tokens]))
            for ending, state in zip(stopping.endings, sampler.states, strict=True)
            if ending is not None
        ]

    def _applied(self, names: Sequence[str | None]) -> AbstractContextManager[None]:
        """Bring the adapters of a batch into memory, and return a context in which the network applies them.

        Raises BrokenAdapter if one cannot be used.
        """
        if self._model.adapters is None:
            return nullcontext()
        self._model.adapters.use({name: None for name in names if name is not None})
        return self._model.adapters.applied(names)


class _SamplerProcessor:
    """A logits processor for `generate(do_sample=False)`, which takes the token with the highest logit.

    The processor chooses a token for each request by `sample`, and sets the logits of all other tokens to -inf.
    """

    def __init__(self, batch: Sequence[Encoded], width: int, eos: Sequence[int], masks: MaskMaker) -> None:
        self._batch = batch
        self._width = width
        self._eos = eos
        self._maker = masks
        self._masks = [
            None if (schema := one.request.prompt.schema) is None else masks.begin(schema, one.thinking)
            for one in batch
        ]
        self.states = [
            SamplingState.of(one.request.prompt.params, one.tokens, forced=one.forced, mask=mask)
            for one, mask in zip(batch, self._masks, strict=True)
        ]
        self._maker.follow((mask, []) for mask in self._masks if mask is not None)

    @property
    def constraints(self) -> dict[str, Constraint]:
        """Request id -> how far its schema constrained the completion, for the requests that have a schema."""
        pairs = zip(self._batch, self._masks, strict=True)
        return {one.request.request_id: mask.constraint for one, mask in pairs if mask is not None}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] > self._width:
            for state, token in zip(self.states, input_ids[:, -1].tolist(), strict=True):
                state.append(token)
        sampled = sample(scores, self.states, self._eos)
        self._follow(input_ids, sampled)
        return torch.full_like(scores, -torch.inf).scatter_(1, sampled[:, None], 0.0)

    def _follow(self, input_ids: torch.Tensor, sampled: torch.Tensor) -> None:
        """Begin to make the masks for the token after the sampled ones, while the network computes its logits."""
        rows = [(row, mask) for row, mask in enumerate(self._masks) if mask is not None]
        if rows:
            tokens = torch.cat([input_ids[:, self._width :], sampled[:, None]], 1).tolist()
            self._maker.follow((mask, tokens[row]) for row, mask in rows)
