"""An engine without a model: text that follows from the prompt, and a timing model. For dry runs, tests and simulations.

A token is a word. Every request that runs gets one word a step, as in continuous batching; the text is a function of
prompt, seed and adapter alone. It can be told to fail, hang or crash on some requests. It has no adapters to check and
no context to overrun, and needs no heavy package.
"""

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from jobs.generation import Completion, Fault, FinishReason, GenerationRequest, Prompt
from workers.engine import EngineStats
from workers.engines.stop_texts import stop_at

_VOCABULARY: Final = (
    "the a quiet morning light over old harbour brings new readers to every page and small ideas grow into clear plans "
    "while writers press their words through night until each line stands ready for people who wait with open minds"
)
MEAN_WORDS: Final = 60


class StubOptions(BaseModel):
    """`[models.<alias>] options` of a stub. Times in seconds; a rate is the share of requests that it strikes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_token_s: float = Field(default=0.0, ge=0.0)
    step_s: float = Field(default=0.0, ge=0.0)
    slots: int = Field(default=64, ge=1)
    failure_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    hang_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    crash_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    seed: int = 0


@dataclass(slots=True)
class _Running:
    """A request in a slot: the words that it will say, and how far it is."""

    request_id: str
    prompt_tokens: int
    words: list[str]
    finish: FinishReason
    hangs: bool
    said: int = 0
    device_ns: int = 0


class StubEngine:
    """The stub. See `workers.engine.Engine` for the five methods.

    Args:
        options: The timing, and what goes wrong how often.
        clock_ns: Monotonic nanoseconds.
        sleep: Waits for seconds.
        crash: What a crashing request does; it should not return.
    """

    def __init__(
        self,
        options: StubOptions | None = None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
        crash: Callable[[], object] = lambda: os._exit(1),
    ) -> None:
        self._options = options or StubOptions()
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._crash = crash
        self._lock = threading.Lock()
        self._waiting: dict[str, GenerationRequest] = {}
        self._running: dict[str, _Running] = {}
        self._cancelled: set[str] = set()
        self._born_ns = clock_ns()
        self._busy_ns = 0
        self._steps = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0

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
            self._share(self._clock_ns() - began)
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
        """End what was cancelled since the last step, waiting or running."""
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
        """Fill free slots in order of arrival; faults, and the prompt tokens taken in."""
        faults, prompt_tokens = [], 0
        with self._lock:
            while self._waiting and len(self._running) < self._options.slots:
                request = self._waiting.pop(next(iter(self._waiting)))
                if self._strikes("crash", request.request_id, self._options.crash_rate):
                    self._crash()
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
        if not _text_of(prompt).split():
            return Fault("empty_prompt", "The prompt has no tokens.")
        if prompt.schema is not None:
            return Fault("unsupported_parameter", "The stub engine cannot hold its output to a schema.")
        if self._strikes("failure", request.request_id, self._options.failure_rate):
            return Fault("generation_failed", "The stub engine was told to fail on this request.", retryable=True)
        return None

    def _start(self, request: GenerationRequest) -> _Running:
        words, finish = _speak(request.prompt)
        return _Running(
            request.request_id,
            len(_text_of(request.prompt).split()),
            words,
            finish,
            hangs=self._strikes("hang", request.request_id, self._options.hang_rate),
        )

    def _advance(self, prompt_tokens: int) -> None:
        """Say one word for each that runs, or, where a step takes no time, all of them."""
        instant = self._options.step_s == 0
        talking = [running for running in self._running.values() if not running.hangs]
        for running in talking:
            said = len(running.words) if instant else min(running.said + 1, len(running.words))
            self._completion_tokens += said - running.said
            running.said = said
        self._steps += 1
        if pause := self._options.step_s + prompt_tokens * self._options.prompt_token_s:
            self._sleep(pause)
        elif not talking and not prompt_tokens:
            self._sleep(0.001)  # only hanging requests: do not spin

    def _share(self, spent_ns: int) -> None:
        """Split a step's time over the requests in it; the shares add up to it exactly."""
        with self._lock:
            self._busy_ns += spent_ns
            share, rest = divmod(spent_ns, len(self._running))
            for place, running in enumerate(self._running.values()):
                running.device_ns += share + (place < rest)

    def _take_finished(self) -> list[Completion]:
        with self._lock:
            finished = [one for one in self._running.values() if not one.hangs and one.said == len(one.words)]
            for one in finished:
                del self._running[one.request_id]
                self._cancelled.discard(one.request_id)
            return [_completion(one, one.finish) for one in finished]

    def _strikes(self, what: str, request_id: str, rate: float) -> bool:
        """Whether a request is among the struck: another attempt has another id, so its own chance."""
        return rate > 0 and _number(f"{self._options.seed}/{what}/{request_id}") < rate


def _text_of(prompt: Prompt) -> str:
    return prompt.text or "\n".join(message.content for message in prompt.messages)


def _number(text: str) -> float:
    """A number in [0, 1) that follows from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _speak(prompt: Prompt) -> tuple[list[str], FinishReason]:
    """The words of a completion and why it ends. A stop text is cut, with the words that hold it."""
    params = prompt.params
    roles = "/".join(message.role for message in prompt.messages)
    chance = random.Random(f"{params.seed}/{prompt.adapter}/{roles}/{_text_of(prompt)}")
    wanted = max(params.min_tokens, chance.randint(1, 2 * MEAN_WORDS - 1))
    words: list[str] = []
    while len(words) < min(wanted, params.max_tokens):
        sentence = chance.choices(_VOCABULARY.split(), k=chance.randint(5, 12))
        words += [sentence[0].capitalize(), *sentence[1:-1], sentence[-1] + "."]
    finish: FinishReason = "stop" if wanted <= params.max_tokens else "length"
    words = words[: min(wanted, params.max_tokens)]
    return _stopped(words, params.stop, params.min_tokens) or (words, finish)


def _stopped(words: list[str], stop: Sequence[str], min_tokens: int) -> tuple[list[str], FinishReason] | None:
    """The words up to the first stop text that ends after `min_tokens` words, or None where there is none."""
    text, floor = " ".join(words), len(" ".join(words[: max(0, min_tokens - 1)]))
    if len(words) < min_tokens or (cut := stop_at(text, stop, floor)) is None:
        return None
    return text[:cut].split(" ") if cut else [], "stop"


def _completion(running: _Running, finish: FinishReason) -> Completion:
    return Completion(
        running.request_id,
        " ".join(running.words[: running.said]),
        finish,
        prompt_tokens=running.prompt_tokens,
        completion_tokens=running.said,
        device_ns=running.device_ns,
    )
