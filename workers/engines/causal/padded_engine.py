"""The padded engine runs models that cannot run in slots: in padded batches, by `generate` of transformers.

A step runs one batch: the request that has waited longest, and those most similar to it in length, so that there is little
padding. Each request has its own sampling params, ending and random numbers. If a batch fails, its halves run again, until the
request that causes the failure fails alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from jobs.generation import Completion, Constraint, Fault, GenerationRequest
from workers.engines.causal.faults import fault_of
from workers.engines.causal.masks import MaskMaker
from workers.engines.causal.model import CausalModel
from workers.engines.causal.padded_batches import next_batch
from workers.engines.causal.runtime.rotary import UnknownSwitch, forget_lengths, length_switch
from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.causal.sequences import LengthSwitch
from workers.engines.causal.time_shares import split_time
from workers.engines.protocol import EngineStats
from workers.engines.text.encoding import Encoded
from workers.engines.text.endings import Ending
from workers.engines.text.grammar import Grammars
from workers.engines.text.stopping import Stopping

DECODE_WEIGHT: Final = 4
"""When a step's time is split over its requests (`time_shares`), a token of a completion counts as this many tokens of a prompt.
Measured with SmolLM2-135M on one core: 4.1 to 4.8."""

Result = Ending | Fault


class PaddedEngine:
    """Runs requests in padded batches. `workers.engines.protocol.Engine` describes the five methods.

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
        self._slots = slots
        self._length_switch: LengthSwitch | None = None
        try:
            self._length_switch = length_switch(model.network)
        except UnknownSwitch:
            self._slots = 1
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._waiting: dict[str, Encoded] = {}
        self._running: dict[str, Encoded] = {}
        self._cancelled: set[str] = set()
        grammars = Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos)
        self._masks = MaskMaker(grammars, on_cpu=model.placement.device.type == "cpu")
        self._constraints: dict[str, Constraint] = {}
        now = clock_ns()
        self._start_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._start_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = 0

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._submitted[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if any(request_id in requests for requests in (self._submitted, self._waiting, self._running)):
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        done = self._end_cancelled() + self._encode()
        if batch := self._next_batch():
            began_ns = self._clock_ns()
            results = self._generate_or_halve(batch)
            done += self._finish_step(batch, results, self._clock_ns() - began_ns)
        return done

    def stats(self) -> EngineStats:
        with self._lock:
            age_ns = self._clock_ns() - self._start_ns
            return EngineStats(
                device=self._model.placement.device_name,
                slots=self._slots,
                waiting=len(self._submitted) + len(self._waiting),
                running=len(self._running),
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=self._busy_ns,
                idle_ns=age_ns - self._busy_ns - self._load_ns,
                load_ns=self._load_ns,
            )

    def close(self) -> None:
        self._masks.close()
        del self._model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _end_cancelled(self) -> list[Completion]:
        """End the requests that were cancelled while they waited."""
        with self._lock:
            cancelled = [name for name in self._cancelled if name in self._submitted or name in self._waiting]
            for name in cancelled:
                self._submitted.pop(name, None)
                self._waiting.pop(name, None)
            self._cancelled.clear()
            return [Completion(name, "", "cancelled") for name in cancelled]

    def _encode(self) -> list[Completion]:
        """Turn submitted prompts into tokens. Returns the completions of requests that the model cannot take."""
        with self._lock:
            arrived = list(self._submitted.values())
        faults = []
        for request in arrived:
            encoded = self._model.encoder.encode(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(encoded, Fault):
                    faults.append(Completion(request.request_id, "", "error", fault=encoded))
                    self._cancelled.discard(request.request_id)
                else:
                    self._waiting[request.request_id] = encoded
        return faults

    def _next_batch(self) -> list[Encoded]:
        """Take the next batch from the waiting requests, and return it. It is empty if no request waits."""
        with self._lock:
            if not self._waiting:
                return []
            batch = next_batch(list(self._waiting.values()), self._slots, self._length_switch)
            self._running = {one.request.request_id: one for one in batch}
            for name in self._running:
                del self._waiting[name]
            return batch

    def _generate_or_halve(self, batch: Sequence[Encoded]) -> list[Result]:
        """Return the result of each request of a batch.

        If the batch fails, its halves run again, so that only the request that causes the failure fails.

        Raises:
            torch.AcceleratorError: The device itself is gone.
        """
        try:
            return list(self._generate_batch(batch))
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything, and must end only one request
            fault = fault_of(error)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return [fault]
        half = len(batch) // 2
        return self._generate_or_halve(batch[:half]) + self._generate_or_halve(batch[half:])

    @torch.inference_mode()
    def _generate_batch(self, batch: Sequence[Encoded]) -> list[Ending]:
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

    def _finish_step(self, batch: Sequence[Encoded], results: Sequence[Result], spent_ns: int) -> list[Completion]:
        """Return the completions of a batch. The step's time is split over them by their tokens (`DECODE_WEIGHT`)."""
        with self._lock:
            pairs = list(zip(batch, results, strict=True))
            shares = split_time(
                spent_ns, [len(one.tokens) + DECODE_WEIGHT * _output_tokens(result) for one, result in pairs]
            )
            self._busy_ns += spent_ns
            self._steps += 1
            self._prompt_tokens += sum(len(one.tokens) for one in batch)
            self._completion_tokens += sum(_output_tokens(result) for result in results)
            self._cancelled -= self._running.keys()
            self._running = {}
        return [
            replace(
                _completion(one, result, share_ns),
                constraint=self._constraints.pop(one.request.request_id, None),
            )
            for (one, result), share_ns in zip(pairs, shares, strict=True)
        ]


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


def _output_tokens(result: Result) -> int:
    return 0 if isinstance(result, Fault) else result.tokens


def _completion(one: Encoded, result: Result, share_ns: int) -> Completion:
    request_id, prompt_tokens = one.request.request_id, len(one.tokens)
    if isinstance(result, Fault):
        return Completion(request_id, "", "error", prompt_tokens, device_ns=share_ns, fault=result)
    return Completion(
        request_id,
        result.text,
        result.reason,
        prompt_tokens,
        0,
        result.tokens,
        share_ns,
        logprobs=result.logprobs,
        prompt_sha256=one.prompt_sha256,
        reasoning=result.reasoning,
        reasoning_tokens=result.reasoning_tokens,
    )
