"""The stub engine, for dry runs and tests, has no model. It computes texts from prompts, and its options set its timing.

A token is a word. Every running request gets one word in each step, as in continuous batching. If `step_s` is 0, a request gets
all its words in one step. The text depends only on the prompt, with the prompt's sampling params and adapter. The engine accepts
every adapter, has no context limit, and needs no heavy package. A JSON schema does not constrain its words.

The engine can fail on purpose, so that tests show how a fleet handles failures. Some faults strike by chance, at these rates:
`failure_rate` (the request fails after one word), `hang_rate` (the request never ends) and `crash_rate` (the process exits).
Other faults are scripted: `faults` maps a text to a fault. The fault strikes every request whose prompt holds the text:

    hang            the request never ends and keeps its slot; other requests are not affected
    slow            the request gets a word only at every tenth step
    flood           the completion is a single word of 10 MiB
    stall           the step that begins the request sleeps for about three years
    out_of_memory   the step that begins the request raises MemoryError, so the engine has failed
    exit            the process exits at once, when the request begins
    segfault        the process is killed by SIGSEGV, when the request begins

If `thoughts` is set, each answer to messages comes after this many words of thoughts, as a reasoning model writes them. The
thoughts do not count towards `max_tokens`, unless the row itself sets `max_tokens`.

`load_fault` names one of these faults, which strikes while the engine is made. `hang`, `slow` and `flood` have no effect there.

    [models.stub]
    engine = "stub"
    options = { step_s = 0.02, faults = { "the guilty row" = "segfault" } }
"""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from jobs.generation import Completion, Constraint, Encoding, Fault, FinishReason, GenerationRequest
from workers.engines.protocol import EngineStats
from workers.engines.stub.encodings import encoding_of
from workers.engines.stub.words import completion_words, logprobs_of, prompt_text, thought_words

SLOW_STEPS: Final = 10
"""A slow request gets a word only in steps whose number is a multiple of this."""

STALL_S: Final = 1e8
"""A stalled step sleeps for this many seconds: about three years."""

FLOOD_BYTES: Final = 10 << 20
"""The size, in bytes, of the single word that the fault `flood` writes."""

_FAILURE: Final = Fault("generation_failed", "The stub engine failed on this request on purpose.", retryable=True)

ScriptedFault = Literal["hang", "slow", "flood", "stall", "out_of_memory", "exit", "segfault"]


class StubOptions(BaseModel):
    """The options of a stub engine: `options` in `[models.<alias>]`. Times are in seconds. A rate is a fraction of requests.

    With `echoes`, a text to translate is its own translation, so that a trial shows that documents come back whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_token_s: float = Field(default=0.0, ge=0.0)
    step_s: float = Field(default=0.0, ge=0.0)
    slots: int = Field(default=64, ge=1)
    failure_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    hang_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    crash_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    faults: Mapping[str, ScriptedFault] = {}
    load_fault: ScriptedFault | None = None
    thoughts: int = Field(default=0, ge=0, le=100_000)
    echoes: bool = False
    seed: int = 0


@dataclass(slots=True)
class _Running:
    """A request in a slot, with the words of its completion. `done_words` counts the words that the request has got so far.

    The first `thoughts` words are the thoughts before the answer. `scored_after` is the prompt if the words are a continuation.
    """

    request_id: str
    prompt_tokens: int
    words: list[str]
    finish: FinishReason
    hangs: bool
    slow: bool
    fault: Fault | None
    logprobs: int | None = None
    scored_after: str = ""
    done_words: int = 0
    device_ns: int = 0
    thoughts: int = 0
    constraint: Constraint | None = None
    begun_ns: int = 0
    first_token_ns: int = 0
    encoding: Encoding | None = None


class StubEngine:
    """The stub engine. `workers.engines.protocol.Engine` describes its five methods.

    Args:
        options: The timing and the faults.
        clock_ns: Returns monotonic nanoseconds.
        sleep: Waits for a number of seconds.
        crash: Ends the process, for `crash_rate` and the fault `exit`.
        segfault: Kills the process, for the fault `segfault`.
    """

    def __init__(
        self,
        options: StubOptions | None = None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
        crash: Callable[[], object] = lambda: os._exit(1),
        segfault: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGSEGV),
    ) -> None:
        self._options = options or StubOptions()
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._crash = crash
        self._segfault = segfault
        self._lock = threading.Lock()
        self._waiting: dict[str, GenerationRequest] = {}
        self._running: dict[str, _Running] = {}
        self._cancelled: set[str] = set()
        self._born_ns = clock_ns()
        self._busy_ns = 0
        self._steps = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._break(self._options.load_fault)

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._waiting[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if request_id in self._waiting or request_id in self._running:
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        done = self._take_cancelled()
        faults, admitted = self._admit()
        done += faults
        if self._running or admitted:
            began = self._clock_ns()
            self._advance(admitted)
            self._split_time(began, self._clock_ns())
            done += self._take_finished()
        return done

    def stats(self) -> EngineStats:
        with self._lock:
            return EngineStats(
                device="cpu",
                slots=self._options.slots,
                waiting=len(self._waiting),
                running=len(self._running),
                steps=self._steps,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._completion_tokens,
                busy_ns=self._busy_ns,
                idle_ns=max(0, self._clock_ns() - self._born_ns - self._busy_ns),
                load_ns=0,
            )

    def close(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._running.clear()

    def _take_cancelled(self) -> list[Completion]:
        """End the waiting and running requests that were cancelled since the last step. Returns their completions."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, set()
            ended = []
            for request_id in cancelled:
                if self._waiting.pop(request_id, None):
                    ended.append(Completion(request_id, "", "cancelled"))
                elif running := self._running.pop(request_id, None):
                    ended.append(_completion(running, "cancelled"))
            return ended

    def _admit(self) -> tuple[list[Completion], int]:
        """Give free slots to waiting requests, in order of arrival.

        Returns the completions of requests that cannot run, and the number of prompt tokens of those that got a slot.
        """
        faults, prompt_tokens = [], 0
        with self._lock:
            while self._waiting and len(self._running) < self._options.slots:
                request = self._waiting.pop(next(iter(self._waiting)))
                if self._is_struck("crash", request.request_id, self._options.crash_rate):
                    self._crash()
                self._break(self._scripted_fault(request))
                if fault := self._fault(request):
                    faults.append(Completion(request.request_id, "", "error", fault=fault))
                    continue
                running = self._start(request)
                self._running[request.request_id] = running
                prompt_tokens += running.prompt_tokens
            self._prompt_tokens += prompt_tokens
        return faults, prompt_tokens

    def _fault(self, request: GenerationRequest) -> Fault | None:
        prompt = request.prompt
        if not prompt_text(prompt).split():
            return Fault("empty_prompt", "The prompt has no tokens.")
        if not all(text.split() for text in prompt.continuations):
            return Fault("empty_prompt", "A continuation has no tokens.")
        return None

    def _scripted_fault(self, request: GenerationRequest) -> ScriptedFault | None:
        """Return the fault of the first text in `faults` that the prompt holds; None if it holds none."""
        text = prompt_text(request.prompt) if self._options.faults else ""
        return next((fault for part, fault in self._options.faults.items() if part in text), None)

    def _break(self, fault: ScriptedFault | None) -> None:
        """Carry out a fault that breaks the whole engine. Does nothing for a fault of one request."""
        match fault:
            case "exit":
                self._crash()
            case "segfault":
                self._segfault()
            case "out_of_memory":
                raise MemoryError("the stub engine ran out of memory on purpose")
            case "stall":
                self._sleep(STALL_S)
            case "hang" | "slow" | "flood" | None:
                pass
            case _:
                assert_never(fault)

    def _start(self, request: GenerationRequest) -> _Running:
        words, finish, thoughts = self._words(request)
        fault = self._scripted_fault(request)
        if fault == "flood":
            words, thoughts = ["x" * FLOOD_BYTES], 0
        fails = self._is_struck("failure", request.request_id, self._options.failure_rate)
        return _Running(
            request.request_id,
            len(prompt_text(request.prompt).split()),
            words[:1] if fails else words,
            "error" if fails else finish,
            hangs=fault == "hang" or self._is_struck("hang", request.request_id, self._options.hang_rate),
            slow=fault == "slow",
            fault=_FAILURE if fails else None,
            logprobs=1 if request.prompt.continuations else request.prompt.params.logprobs,
            scored_after=f"{request.prompt.adapter}/{prompt_text(request.prompt)}\n"
            if request.prompt.continuations
            else "",
            thoughts=thoughts,
            constraint=None if request.prompt.schema is None else "none",
            encoding=encoding_of(request.prompt.encodable) if request.prompt.is_only_for_encoders else None,
        )

    def _words(self, request: GenerationRequest) -> tuple[list[str], FinishReason, int]:
        """Return the words of a completion, the reason why it ends, and how many of the words are thoughts."""
        if request.prompt.is_only_for_encoders:
            return [], "stop", 0
        thoughts, prompt = thought_words(request, self._options.thoughts), request.prompt
        left = prompt.params.max_tokens - (len(thoughts) if request.thoughts_count else 0)
        if left < 1:
            return thoughts, "length", len(thoughts)
        if self._options.echoes and prompt.translatable is not None:
            same = prompt.translatable.text.split(" ")
            return [*thoughts, *same[:left]], "stop" if len(same) <= left else "length", len(thoughts)
        params = replace(
            prompt.params, max_tokens=left, min_tokens=max(0, min(prompt.params.min_tokens - len(thoughts), left))
        )
        words, finish = completion_words(replace(prompt, params=params), request.continuation)
        return [*thoughts, *words], finish, len(thoughts)

    def _advance(self, prompt_tokens: int) -> None:
        """Give each running request its next word, or all its words if `step_s` is 0.

        Then sleep for the time that the step is to take.
        """
        instant = self._options.step_s == 0
        working = [running for running in self._running.values() if not running.hangs]
        for running in working:
            if running.slow and self._steps % SLOW_STEPS:
                continue
            one_more = min(running.done_words + 1, len(running.words))
            done = one_more if running.slow or not instant else len(running.words)
            self._completion_tokens += done - running.done_words
            running.done_words = done
        self._steps += 1
        if pause := self._options.step_s + prompt_tokens * self._options.prompt_token_s:
            self._sleep(pause)
        elif not working and not prompt_tokens:
            self._sleep(0.001)  # only hanging requests are left: do not spin

    def _split_time(self, began_ns: int, ended_ns: int) -> None:
        """Split a step's time evenly over the running requests, and note which of them began in it and got their first word.

        Each request gets whole nanoseconds. The sum is exactly the step's time.
        """
        spent_ns = ended_ns - began_ns
        with self._lock:
            self._busy_ns += spent_ns
            each, rest = divmod(spent_ns, len(self._running))
            for place, running in enumerate(self._running.values()):
                running.device_ns += each + (place < rest)
                running.begun_ns = running.begun_ns or began_ns
                if running.done_words and not running.first_token_ns:
                    running.first_token_ns = ended_ns

    def _take_finished(self) -> list[Completion]:
        with self._lock:
            finished = [one for one in self._running.values() if not one.hangs and one.done_words == len(one.words)]
            for one in finished:
                del self._running[one.request_id]
                self._cancelled.discard(one.request_id)
            return [_completion(one, one.finish) for one in finished]

    def _is_struck(self, trouble: str, request_id: str, rate: float) -> bool:
        """Whether the fault `trouble` strikes a request by chance.

        Each attempt has its own request id, so chance decides anew for each attempt.
        """
        return rate > 0 and _fraction(f"{self._options.seed}/{trouble}/{request_id}") < rate


def _fraction(text: str) -> float:
    """Return a number in [0, 1) that depends only on a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _completion(running: _Running, finish: FinishReason) -> Completion:
    return Completion(
        running.request_id,
        "" if running.fault else " ".join(running.words[running.thoughts : running.done_words]),
        finish,
        fault=running.fault if finish == "error" else None,
        prompt_tokens=running.prompt_tokens,
        completion_tokens=running.done_words,
        device_ns=running.device_ns,
        logprobs=()
        if running.fault
        else logprobs_of(running.words[: running.done_words], running.logprobs, running.scored_after),
        reasoning=""
        if running.fault
        else " ".join(running.words[1 : max(1, min(running.thoughts, running.done_words))])
        .removesuffix("</think>")
        .rstrip(),
        reasoning_tokens=min(running.thoughts, running.done_words),
        begun_ns=running.begun_ns,
        first_token_ns=running.first_token_ns,
        constraint=running.constraint,
        encoding=None if running.fault else running.encoding,
    )
