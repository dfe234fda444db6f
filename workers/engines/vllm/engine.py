"""The engine `vllm` steps vLLM in this process, and answers by our protocol.

A request goes through it like this: `submit` keeps it; the next step turns it into tokens and waits for the grammar of its
schema; then vLLM schedules it, first come first served, and each step's time is split over the requests that were scheduled in
it. Its end is found by our own rules (`workers/engines/text/endings.py`), token by token if it has stop texts or may think,
else once at the end.

vLLM answers nothing for a request that is aborted, so a cancelled completion is made here. If vLLM's step raises, the engine is
dead: the worker's process ends, and the fleet replaces it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jobs.generation import Completion, Fault, GenerationRequest
from jobs.logs import logger
from workers.engines.device.pinning import Core
from workers.engines.protocol import EngineStats
from workers.engines.step_time import split_time
from workers.engines.text.answer_start import AnswerStart
from workers.engines.text.encoding import Encoded, Encoder
from workers.engines.text.grammar import Grammar, Grammars
from workers.engines.text.reasoning import Thoughts
from workers.engines.vllm.adapters import VllmAdapters
from workers.engines.vllm.sampling import forced_params, params_of
from workers.engines.vllm.sequences import Answers, Result, VllmSequence

GRAMMAR_S: Final = 30.0
"""A request waits for its grammar for at most this many seconds. Then its text is free, and is only validated."""

PAUSE_S: Final = 0.005
"""If all requests wait for their grammars, a step waits for at most this many seconds."""


@dataclass(frozen=True, slots=True)
class VllmModel:
    """A model that vLLM has loaded: vLLM's engine with our scheduler in it, and what we know of the model ourselves."""

    llm: Any
    encoder: Encoder
    eos: tuple[int, ...]
    device_name: str
    adapters: VllmAdapters
    grammars: Grammars = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grammars", Grammars(self.encoder.tokenizer, self.encoder.vocabulary, self.eos))

    @property
    def scheduler(self) -> Any:
        """The `RecordingScheduler`."""
        return self.llm.engine_core.engine_core.scheduler


class VllmEngine:
    """The engine. `workers.engines.protocol.Engine` describes its five methods.

    Args:
        model: A loaded model.
        slots: The most requests that run at once.
        core: The CPU core that the stepping thread is pinned to at its first step; None if the thread is not pinned.
        began_ns: When loading began, by `clock_ns`. The engine's age counts from this time. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: VllmModel,
        *,
        slots: int,
        core: Core | None = None,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._slots = slots
        self._core = core
        self._is_pinned = core is None
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._active: dict[str, VllmSequence] = {}
        self._cancelled: set[str] = set()
        self._preparing: list[VllmSequence] = []
        """The requests that wait for the grammars of their schemas. They are active too."""
        self._held: deque[tuple[VllmSequence, Grammar | None]] = deque()
        """The requests that wait until those with an adapter, or those without, have ended. They are active too."""
        self._parts: dict[str, VllmSequence] = {}
        """The requests inside vLLM, by our id of each of their parts."""
        self._scheduled: dict[str, VllmSequence] = {}
        """The same by vLLM's ids."""
        self._answering: list[tuple[VllmSequence, Answers]] = []
        """The requests whose answers have begun in this step, and that start anew under their schemas."""
        self._numbered = 0
        self._compiling = ThreadPoolExecutor(1, "grammars")
        now = clock_ns()
        self._start_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._start_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = self._begun = 0

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
        done = self._end_cancelled() + self._encode() + self._start_prepared() + self._start_held()
        if not self._parts:
            if self._preparing and not done:
                wait([one.grammar for one in self._preparing if one.grammar is not None], PAUSE_S, "FIRST_COMPLETED")
            return done
        began_ns = self._clock_ns()
        answers = self._model.llm.step()
        ended = self._take(answers)
        return done + self._finish_step(ended, began_ns)

    def stats(self) -> EngineStats:
        with self._lock:
            age_ns = self._clock_ns() - self._start_ns
            return EngineStats(
                device=self._model.device_name,
                slots=self._slots,
                waiting=len(self._submitted) + len(self._active) - self._begun,
                running=self._begun,
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=self._busy_ns,
                idle_ns=age_ns - self._busy_ns - self._load_ns,
                load_ns=self._load_ns,
            )

    def close(self) -> None:
        self._compiling.shutdown(wait=False, cancel_futures=True)
        self._model.llm.engine_core.shutdown()
        if self._core is not None:
            self._core.free()
        del self._model

    # -- requests that come and go ----------------------------------------------------------------------------------

    def _end_cancelled(self) -> list[Completion]:
        """End the requests that were cancelled since the last step, waiting or running. Returns their completions."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, set()
            early = [name for name in cancelled if self._submitted.pop(name, None)]
            active = [self._active[name] for name in cancelled if name in self._active]
        done = [Completion(name, "", "cancelled") for name in early]
        for sequence in active:
            names, output = list(sequence.parts.values()), list(sequence.output)
            if len(names) == 1 and not sequence.encoded.forced and not sequence.by_token:
                output = self._model.scheduler.output_of(names[0])
            done.append(self._ended(sequence, sequence.cancelled(output, self._model.encoder)))
        return done

    def _encode(self) -> list[Completion]:
        """Turn submitted prompts into tokens, and hand them to vLLM. Returns the completions of those that cannot run."""
        with self._lock:
            arrived = list(self._submitted.values())
        faults = []
        for request in arrived:
            encoded = self._encoded(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(encoded, Fault):
                    faults.append(Completion(request.request_id, "", "error", fault=encoded))
                    self._cancelled.discard(request.request_id)
                    continue
                sequence = self._active[request.request_id] = _sequence(encoded)
            schema = request.prompt.schema
            if schema is not None and not encoded.forced:
                sequence.constraint = "none"
                sequence.grammar = self._compiling.submit(self._model.grammars.of, schema)
                sequence.latest_s = time.monotonic() + GRAMMAR_S
                self._preparing.append(sequence)
            elif fault := self._admit(sequence, None):
                faults.append(self._ended(sequence, fault))
        return faults

    def _encoded(self, request: GenerationRequest) -> Encoded | Fault:
        """Return a request with its tokens, or why it cannot run. Its adapter is loaded; it changes nothing in the prompt."""
        prompt = request.prompt
        if prompt.adapter is not None:
            adapter = self._model.adapters.request_of(prompt.adapter)
            if isinstance(adapter, Fault):
                return adapter
        encoded = self._model.encoder.encode(replace(request, prompt=replace(prompt, adapter=None)))
        if isinstance(encoded, Fault):
            return encoded
        with_adapter = replace(encoded.request.prompt, adapter=prompt.adapter)
        return replace(encoded, request=replace(encoded.request, prompt=with_adapter))

    def _start_held(self) -> list[Completion]:
        """Start the requests that waited for those of the other sort, once these have ended."""
        faults = []
        while self._held and not self._is_apart(self._held[0][0]):
            sequence, grammar = self._held.popleft()
            if fault := self._begin(sequence, grammar):
                faults.append(self._ended(sequence, fault))
        return faults

    def _is_apart(self, sequence: VllmSequence) -> bool:
        """Whether a request must not share a step with those that are inside vLLM."""
        running = next(iter(self._parts.values()), None)
        return self._model.adapters.keeps_apart and running is not None and sequence.is_adapted != running.is_adapted

    def _admit(self, sequence: VllmSequence, grammar: Grammar | None) -> Fault | None:
        """Start a request, or hold it if it must not run beside those inside vLLM. Returns why it cannot run."""
        if self._held or self._is_apart(sequence):
            self._held.append((sequence, grammar))
            return None
        return self._begin(sequence, grammar)

    def _begin(self, sequence: VllmSequence, grammar: Grammar | None) -> Fault | None:
        """Hand a request to vLLM. One that may think is free until its answer begins."""
        if grammar is None:
            return self._start(sequence, None)
        thinking = sequence.encoded.thinking
        if grammar.schema is None or thinking is None or thinking.inside is False:
            return self._start_constrained(sequence, grammar)
        sequence.start = AnswerStart(thinking)
        sequence.start.look([])
        return self._start(sequence, None)

    def _start_prepared(self) -> list[Completion]:
        """Hand those requests to vLLM whose grammars are made, or were waited for long enough."""
        if not self._preparing:
            return []
        ready = [one for one in self._preparing if _is_ready(one)]
        self._preparing = [one for one in self._preparing if one not in ready]
        faults = []
        for sequence in ready:
            grammar = _grammar_of(sequence)
            if grammar.schema is None:
                logger().warning("engine.unconstrained", reason=grammar.reason)
            if fault := self._admit(sequence, grammar):
                faults.append(self._ended(sequence, fault))
        return faults

    def _start_constrained(self, sequence: VllmSequence, grammar: Grammar) -> Fault | None:
        """Hand a request to vLLM under its grammar. What vLLM refuses to constrain is free, and is only validated."""
        sequence.constraint = grammar.constraint
        fault = self._start(sequence, grammar.schema)
        if fault is not None and grammar.schema is not None:
            logger().warning("engine.unconstrained", reason="vLLM refuses the schema")
            sequence.constraint = "none"
            fault = self._start(sequence, None)
        return fault

    def _start(self, sequence: VllmSequence, schema: str | None) -> Fault | None:
        """Hand a request to vLLM. Returns why vLLM refuses it; None if it does not."""
        encoded = sequence.encoded
        if encoded.forced:
            prompts = [[*encoded.tokens, *encoded.forced[:n]] for n in range(len(encoded.forced))]
            params = [forced_params(token) for token in encoded.forced]
        else:
            written = len(sequence.output)
            prompts = [[*encoded.tokens, *sequence.output]]
            params = [params_of(encoded, self._model.eos, by_token=sequence.by_token, schema=schema, written=written)]
        adapter = encoded.request.prompt.adapter
        lora = None if adapter is None else self._model.adapters.request_of(adapter)
        for tokens, one in zip(prompts, params, strict=True):
            self._numbered += 1
            part = str(self._numbered)
            try:
                prompt = {"type": "token", "prompt_token_ids": tokens}
                name = self._model.llm.add_request(part, prompt, one, lora_request=lora)
            except (ValueError, TypeError) as error:
                self._forget(sequence)
                return Fault("unsupported_parameter", f"vLLM refuses the request: {str(error).partition(chr(10))[0]}")
            sequence.parts[part] = name
            sequence.live.add(name)
            self._parts[part] = self._scheduled[name] = sequence
        return None

    # -- a step -----------------------------------------------------------------------------------------------------

    def _take(self, answers: Sequence[Any]) -> list[tuple[VllmSequence, Result]]:
        """Take what vLLM answers in a step. Returns the requests that have ended, and how."""
        ended = []
        for answer in answers:
            sequence = self._parts.get(answer.request_id)
            if sequence is None:
                continue
            result = sequence.take(answer.request_id, answer, self._model.encoder, self._model.eos)
            if isinstance(result, Answers):
                self._answering.append((sequence, result))
            elif result is not None:
                ended.append((sequence, result))
        return ended

    def _finish_step(self, ended: Sequence[tuple[VllmSequence, Result]], began_ns: int) -> list[Completion]:
        """Split the step's time over the requests that were scheduled in it, and return the completions of those that ended.

        If none was scheduled, all of them wait for what vLLM prepares on threads, and the device was idle.
        """
        recorded = self._model.scheduler.take_recorded()
        shares = [(self._scheduled[name], one) for name, one in recorded.items() if name in self._scheduled]
        ended_ns = self._clock_ns()
        spent_ns = ended_ns - began_ns
        if not shares:
            time.sleep(PAUSE_S if not ended else 0.0)
            return [self._ended(*one) for one in ended] + self._start_answers()
        parts = split_time(spent_ns, [one.weight for _, one in shares])
        begun = 0
        for (sequence, one), share_ns in zip(shares, parts, strict=True):
            sequence.device_ns += share_ns
            if not sequence.begun_ns:
                sequence.begun_ns = began_ns
                begun += 1
            if one.samples and not sequence.first_token_ns:
                sequence.first_token_ns = ended_ns
        with self._lock:
            self._busy_ns += spent_ns
            self._steps += 1
            self._begun += begun
        return [self._ended(*one) for one in ended] + self._start_answers()

    def _start_answers(self) -> list[Completion]:
        """Start those requests anew whose answers have begun after their thoughts, under their schemas."""
        faults = []
        answering, self._answering = self._answering, []
        for sequence, answers in answering:
            self._forget(sequence)
            sequence.start_anew(answers.kept)
            if fault := self._start_constrained(sequence, _grammar_of(sequence)):
                faults.append(self._ended(sequence, fault))
        return faults

    def _ended(self, sequence: VllmSequence, result: Result) -> Completion:
        """Take a request out of this engine and out of vLLM, and return its completion."""
        self._forget(sequence)
        if sequence in self._preparing:
            self._preparing.remove(sequence)
        if any(held is sequence for held, _ in self._held):
            self._held = deque(one for one in self._held if one[0] is not sequence)
        completion = sequence.completion(result, self._model.encoder)
        with self._lock:
            self._active.pop(sequence.request_id, None)
            self._cancelled.discard(sequence.request_id)
            self._begun -= bool(sequence.begun_ns)
            self._prompt_tokens += completion.prompt_tokens
            self._completion_tokens += completion.completion_tokens
        return completion

    def _forget(self, sequence: VllmSequence) -> None:
        """Take all parts of a request out of vLLM."""
        if sequence.live:
            self._model.llm.abort_request(list(sequence.live), internal=True)
            sequence.live.clear()
        for part, name in sequence.parts.items():
            self._parts.pop(part, None)
            self._scheduled.pop(name, None)
        sequence.parts.clear()


def _sequence(encoded: Encoded) -> VllmSequence:
    return VllmSequence(encoded, Thoughts(encoded.thinking) if encoded.thinking is not None else None)


def _is_ready(sequence: VllmSequence) -> bool:
    grammar = sequence.grammar
    return grammar is None or grammar.done() or time.monotonic() >= sequence.latest_s


def _grammar_of(sequence: VllmSequence) -> Grammar:
    """Return the grammar of a request that is ready."""
    if sequence.grammar is None or not sequence.grammar.done():
        return Grammar("none", reason=f"the grammar was not made within {GRAMMAR_S:g} s")
    return sequence.grammar.result()
