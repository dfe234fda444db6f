"""The slot engine runs a causal model with continuous batching: a sequence that ends makes room for the next at once.

The package's docstring follows a request through the engine. A step's time is split over its sequences by the work that each
caused (`time_shares`), so the device time of all completions adds up to the time that the engine was busy.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import torch

from jobs.generation import Completion, Fault, GenerationRequest
from jobs.logs import logger
from workers.engines.causal.capacity import Capacity
from workers.engines.causal.faults import fault_of, is_out_of_memory
from workers.engines.causal.masks import MaskMaker
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.cuda_graphs import CacheLost, Recorder
from workers.engines.causal.runtime.rotary import length_switch
from workers.engines.causal.runtime.runtime import Runtime, StepTime
from workers.engines.causal.sampler import SamplingState
from workers.engines.causal.scheduler import Scheduler
from workers.engines.causal.sequences import Span, TokenSequence
from workers.engines.causal.time_shares import NOTHING_MEASURED, time_weights
from workers.engines.device.pinning import Core
from workers.engines.protocol import EngineStats
from workers.engines.step_time import split_time
from workers.engines.text.endings import Ending, ending_of, split_ending
from workers.engines.text.grammar import Grammars
from workers.engines.text.reasoning import Thoughts

GATHER_DIVISOR: Final = 8
"""With CUDA graphs a prefill step costs as much as several decode steps. So waiting prompts are admitted together, when
1/GATHER_DIVISOR of the slots are free. By calculation, this doubles the throughput of 64 slots with texts of 200 tokens, decode
steps of 2.5 ms and prefill steps of 15 ms."""

GRAMMAR_WAIT_S: Final = 0.01
"""If all sequences wait for the grammars of their schemas, a step waits for a grammar for at most this many seconds."""

Result = Ending | Fault


class SlotEngine:
    """Runs requests in slots. `workers.engines.protocol.Engine` describes the five methods.

    Args:
        model: A loaded model, which `probe` has prepared for slots.
        slots: The largest number of sequences that run at once.
        step_tokens: The largest number of tokens that a step computes.
        cache_bytes: The memory of the device that the KV cache may take, in bytes.
        token_bytes: The memory that one token of one slot takes in the KV cache, in bytes.
        prefix_sharing: Whether common prefixes are computed once.
        recorder: Records decode steps, so that they can be replayed. If None, every step is computed anew.
        core: The CPU core that the stepping thread is pinned to at its first step; None if the thread is not pinned.
        began_ns: When loading began, by `clock_ns`. The engine's age counts from this time. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: CausalModel,
        *,
        slots: int,
        step_tokens: int,
        cache_bytes: int,
        token_bytes: int,
        prefix_sharing: bool = True,
        recorder: Recorder | None = None,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._core = core
        self._is_pinned = core is None
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._cancelled: set[str] = set()
        self._active: set[str] = set()
        admit_together = -(-slots // GATHER_DIVISOR) if recorder else 1
        self._scheduler = Scheduler(
            slots,
            step_tokens,
            prefix_sharing=prefix_sharing,
            admit_together=admit_together,
            length_switch=length_switch(model.network),
            residency=None if model.adapters is None else model.adapters.residency,
        )
        self._sampling_states: dict[TokenSequence, SamplingState] = {}
        grammars = Grammars(model.encoder.tokenizer, model.encoder.vocabulary, model.eos)
        self._masks = MaskMaker(grammars, on_cpu=model.placement.device.type == "cpu")
        self._unprepared: list[TokenSequence] = []
        """The sequences that wait for the grammars of their schemas."""
        self._runtime = Runtime(
            model.network,
            model.placement.device,
            layers=model.layers,
            slots=slots,
            length=0,
            eos=model.eos,
            recorder=recorder,
            adapters=model.adapters,
        )
        self._capacity = Capacity(
            self._runtime.cache,
            self._scheduler,
            slots=slots,
            cache_bytes=cache_bytes,
            token_bytes=token_bytes,
            context=model.encoder.context,
        )
        now = clock_ns()
        self._start_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._start_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = 0

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._submitted[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if request_id in self._submitted or request_id in self._active:
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        if self._core is not None and not self._is_pinned:  # not earlier: threads that start later are pinned too
            self._core.pin()
            self._is_pinned = True
        done = self._end_cancelled() + self._encode()
        self._queue_prepared()
        if not self._scheduler.waiting and not self._scheduler.running:
            return done
        began_ns = self._clock_ns()
        ended = self._admit()
        spans = self._scheduler.schedule()
        ended_in_step, step_time = self._run_step(spans) if spans else ([], NOTHING_MEASURED)
        return done + self._finish_step(spans, ended + ended_in_step, step_time, began_ns)

    def stats(self) -> EngineStats:
        with self._lock:
            age_ns = self._clock_ns() - self._start_ns
            running = len(self._scheduler.running)
            return EngineStats(
                device=self._model.placement.device_name,
                slots=self._scheduler.slots,
                waiting=len(self._submitted) + len(self._active) - running,
                running=running,
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=self._busy_ns,
                idle_ns=age_ns - self._busy_ns - self._load_ns,
                load_ns=self._load_ns,
            )

    def close(self) -> None:
        self._masks.close()
        self._runtime.close()
        del self._model, self._runtime, self._capacity
        if self._core is not None:
            self._core.free()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _end_cancelled(self) -> list[Completion]:
        """End the requests that were cancelled since the last step, waiting or running. Returns their completions."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, set()
            early = [name for name in cancelled if self._submitted.pop(name, None)]
            self._active -= cancelled
        done = [Completion(name, "", "cancelled") for name in early]
        for sequence in [one for one in self._unprepared if one.request.request_id in cancelled]:
            self._unprepared.remove(sequence)
            done.append(self._completion(sequence, self._cancelled_ending(sequence)))
        for sequence in [sequence for sequence in self._scheduler.waiting if sequence.request.request_id in cancelled]:
            self._scheduler.waiting.remove(sequence)
            done.append(self._completion(sequence, self._cancelled_ending(sequence)))
        for sequence in [sequence for sequence in self._scheduler.running if sequence.request.request_id in cancelled]:
            self._scheduler.finish(sequence)
            done.append(self._completion(sequence, self._cancelled_ending(sequence)))
        return done

    def _cancelled_ending(self, sequence: TokenSequence) -> Ending:
        if sequence.thoughts is not None:
            return split_ending("cancelled", sequence.output, sequence.thoughts)
        return Ending("cancelled", self._model.encoder.decode(sequence.output), len(sequence.output))

    def _encode(self) -> list[Completion]:
        """Turn submitted prompts into tokens. Returns the completions of requests that the model cannot take."""
        with self._lock:
            arrived = list(self._submitted.values())
        faults = []
        for request in arrived:
            encoded = self._model.adapter_fault(request.prompt.adapter) or self._model.encoder.encode(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(encoded, Fault):
                    faults.append(Completion(request.request_id, "", "error", fault=encoded))
                    self._cancelled.discard(request.request_id)
                    continue
                self._active.add(request.request_id)
            sequence = TokenSequence(
                encoded.request,
                encoded.tokens,
                forced=encoded.forced,
                prompt_sha256=encoded.prompt_sha256,
                thoughts=Thoughts(encoded.thinking) if encoded.thinking is not None else None,
                mixed_stops=encoded.mixed_stops,
                mask=None if (schema := request.prompt.schema) is None else self._masks.begin(schema, encoded.thinking),
            )
            self._sampling_states[sequence] = SamplingState.of(
                encoded.request.prompt.params, sequence.prompt, forced=encoded.forced, mask=sequence.mask
            )
            (self._scheduler.waiting if sequence.mask is None else self._unprepared).append(sequence)
        return faults

    def _queue_prepared(self) -> None:
        """Let the sequences whose grammars are made wait for a slot. If nothing else is to be done, wait for a grammar."""
        if not self._unprepared:
            return
        masks = [one.mask for one in self._unprepared if one.mask is not None]
        if not self._scheduler.waiting and not self._scheduler.running:
            self._masks.wait_for(masks, GRAMMAR_WAIT_S)
        ready = [one for one in self._unprepared if one.mask is None or one.mask.is_ready]
        self._unprepared = [one for one in self._unprepared if one not in ready]
        self._masks.follow((one.mask, one.output) for one in ready if one.mask is not None)
        self._scheduler.waiting.extend(ready)

    def _admit(self) -> list[tuple[TokenSequence, Result]]:
        """Make the cache large enough for the first waiting sequence, and admit the waiting sequences that fit.

        Returns the sequences that can never fit, with their faults.
        """
        faults: list[tuple[TokenSequence, Result]] = [*self._capacity.fit()]
        for copy in self._scheduler.admit(self._runtime.cache.length):
            self._runtime.copy_prefix(copy.source, copy.target, copy.tokens)
        return faults + self._load_adapters()

    def _load_adapters(self) -> list[tuple[TokenSequence, Result]]:
        """Read the weights of the adapters that sequences need from now on.

        Returns the sequences whose adapters turn out to be broken, with their faults.
        """
        adapters = self._model.adapters
        ended: list[tuple[TokenSequence, Result]] = []
        for name in adapters.load_new() if adapters is not None else ():
            if (fault := self._model.adapter_fault(name)) is None:
                continue
            for sequence in [one for one in self._scheduler.running if one.adapter == name]:
                self._scheduler.fail(sequence)
                ended.append((sequence, fault))
            for sequence in [one for one in self._scheduler.waiting if one.adapter == name]:
                self._scheduler.waiting.remove(sequence)
                ended.append((sequence, fault))
        return ended

    def _run_step(self, spans: Sequence[Span]) -> tuple[list[tuple[TokenSequence, Result]], StepTime]:
        """Run a step. Returns two values: the sequences that end, with their results, and the step's time.

        If the step fails, each sequence runs again alone, so that only the one that causes the failure fails. If memory ran out
        and there are several slots, half of the slots are given up instead. After `CacheLost` all sequences are computed anew.
        """
        states = [
            one for span in spans if span.samples for one in self._sampling_states[span.sequence].for_next(span.samples)
        ]
        try:
            tokens, step_time = self._runtime.run(spans, states)
        except torch.AcceleratorError:
            raise  # the device itself is gone
        except CacheLost:
            self._reset_cache(self._scheduler.slots)
            return [], NOTHING_MEASURED
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything, and must end only one request
            if is_out_of_memory(error) and self._scheduler.slots > 1:
                self._halve_slots(error)
                return [], NOTHING_MEASURED
            if len(spans) == 1:
                return [(spans[0].sequence, fault_of(error))], NOTHING_MEASURED
            return self._run_one_by_one(spans), NOTHING_MEASURED
        return self._append_tokens(spans, tokens), step_time

    def _run_one_by_one(self, spans: Sequence[Span]) -> list[tuple[TokenSequence, Result]]:
        """Run the spans of a step one by one. Returns the sequences that end, with their results.

        If memory runs out, all slots are emptied, and the sequences that have not ended wait again.
        """
        ended: list[tuple[TokenSequence, Result]] = []
        for span in spans:
            if span.sequence.slot >= 0:
                ended += self._run_step([span])[0]
        for sequence, _ in ended:
            if sequence.slot < 0:
                self._scheduler.waiting.remove(sequence)  # the sequence was put back when all slots were emptied
        return ended

    def _halve_slots(self, error: Exception) -> None:
        """Halve the number of slots, because memory ran out. Running sequences wait again, and are later computed anew."""
        slots = self._scheduler.slots // 2
        self._reset_cache(slots)
        self._capacity.shrink(slots)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger().warning("engine.shrunk", slots=slots, reason=fault_of(error).message)

    def _reset_cache(self, slots: int) -> None:
        """Forget everything in the cache. The running sequences wait again, before all others."""
        preempted = self._scheduler.clear()
        self._scheduler.resize(slots, 0)
        self._scheduler.preempt(preempted)
        self._runtime.cache.clear(slots, 0)

    def _append_tokens(self, spans: Sequence[Span], tokens: Sequence[int]) -> list[tuple[TokenSequence, Result]]:
        """Append the sampled tokens to their sequences. Returns the sequences that end with these tokens, and their endings."""
        self._scheduler.mark_computed(spans)
        ended: list[tuple[TokenSequence, Result]] = []
        sequences = (span.sequence for span in spans for _ in range(span.samples))
        for sequence, token in zip(sequences, tokens, strict=True):
            sequence.output.append(token)
            self._sampling_states[sequence].append(token)
            ending = self._ending(sequence)
            if ending is not None:
                ended.append((sequence, ending))
        over = {id(sequence) for sequence, _ in ended}
        sampled = [span.sequence for span in spans if span.samples and id(span.sequence) not in over]
        self._masks.follow((one.mask, one.output) for one in sampled if one.mask is not None)
        with self._lock:
            self._completion_tokens += len(tokens)
        return ended

    def _ending(self, sequence: TokenSequence) -> Ending | None:
        params, model = sequence.request.prompt.params, self._model
        return ending_of(
            sequence.output,
            params,
            eos=model.eos,
            decode=model.encoder.decode,
            thoughts=sequence.thoughts,
            mixed_stops=sequence.mixed_stops,
        )

    def _finish_step(
        self, spans: Sequence[Span], ended: Sequence[tuple[TokenSequence, Result]], step_time: StepTime, began_ns: int
    ) -> list[Completion]:
        """Split the step's time over its sequences. Free the slots of those that ended, and return their completions."""
        ended_ns = self._clock_ns()
        spent_ns = ended_ns - began_ns
        sequences = [span.sequence for span in spans] or [sequence for sequence, _ in ended]
        if not sequences:
            return []
        weights = time_weights(spans, step_time) if spans else [1] * len(sequences)
        for sequence, share_ns in zip(sequences, split_time(spent_ns, weights), strict=True):
            sequence.device_ns += share_ns
            if not sequence.first_token_ns:  # it has no token, or this step gave it the first
                sequence.begun_ns = sequence.begun_ns or began_ns
                sequence.first_token_ns = ended_ns if sequence.output else 0
        done = []
        for sequence, result in ended:
            if sequence.slot >= 0:
                (self._scheduler.fail if isinstance(result, Fault) else self._scheduler.finish)(sequence)
            done.append(self._completion(sequence, result))
        with self._lock:
            self._busy_ns += spent_ns
            self._steps += 1
        return done

    def _completion(self, sequence: TokenSequence, result: Result) -> Completion:
        request_id = sequence.request.request_id
        sampled = self._sampling_states.pop(sequence).logprobs
        with self._lock:
            self._active.discard(request_id)
            self._cancelled.discard(request_id)
            self._prompt_tokens += len(sequence.prompt)
        counted = (len(sequence.prompt), sequence.shared_prefix)
        constraint = None if sequence.mask is None else sequence.mask.constraint
        if isinstance(result, Fault):
            return Completion(
                request_id,
                "",
                "error",
                *counted,
                len(sequence.output),
                device_ns=sequence.device_ns,
                fault=result,
                constraint=constraint,
                begun_ns=sequence.begun_ns,
                first_token_ns=sequence.first_token_ns,
            )
        logprobs = self._model.encoder.logprobs(sampled)
        return Completion(
            request_id,
            result.text,
            result.reason,
            *counted,
            result.tokens,
            sequence.device_ns,
            logprobs=logprobs,
            prompt_sha256=sequence.prompt_sha256,
            reasoning=result.reasoning,
            reasoning_tokens=result.reasoning_tokens,
            constraint=constraint,
            begun_ns=sequence.begun_ns,
            first_token_ns=sequence.first_token_ns,
        )
