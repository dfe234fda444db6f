"""The base of engines that run one batch of requests in each step, from its beginning to its end.

A step runs one batch: the request that has waited longest, and others that the engine chooses to go with it. So no request
waits for more steps than there were requests before it. If a batch fails, its halves run again, until the request that causes
the failure fails alone.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from jobs.generation import Completion, Fault, GenerationRequest
from workers.engines.protocol import EngineStats
from workers.engines.step_time import split_time
from workers.engines.text.endings import Ending


class Read(Protocol):
    """A request with the tokens that the model reads for it. `prompt_sha256` is the hash that its receipt keeps."""

    @property
    def request(self) -> GenerationRequest: ...
    @property
    def tokens(self) -> list[int]: ...
    @property
    def prompt_sha256(self) -> str | None: ...


ReadT = TypeVar("ReadT", bound=Read)
RowT = TypeVar("RowT")
Result = Ending | Fault


class BatchEngine(ABC, Generic[ReadT]):
    """An engine of batches. `workers.engines.protocol.Engine` describes its five methods.

    Args:
        device_name: The name under which the device's price is set.
        slots: The largest number of requests in a step.
        output_weight: When a step's time is split over its requests, a token of a completion counts as this many tokens of a
            prompt.
        began_ns: When loading began, by `clock_ns`. The engine's age counts from this time. None means now.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        device_name: str,
        *,
        slots: int,
        output_weight: int,
        began_ns: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._device_name = device_name
        self._slots = slots
        self._output_weight = output_weight
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._submitted: dict[str, GenerationRequest] = {}
        self._waiting: dict[str, ReadT] = {}
        self._running: dict[str, ReadT] = {}
        self._cancelled: set[str] = set()
        now = clock_ns()
        self._start_ns = now if began_ns is None else began_ns
        self._load_ns = now - self._start_ns
        self._busy_ns = self._steps = self._prompt_tokens = self._completion_tokens = 0

    @abstractmethod
    def _read(self, request: GenerationRequest) -> ReadT | Fault | Completion:
        """Return a request with its tokens, a Fault that says why it cannot run, or its completion if it needs no step."""

    @abstractmethod
    def _choose(self, waiting: Sequence[ReadT]) -> list[ReadT]:
        """Return the next batch. The first of the waiting requests, which has waited longest, is one of it."""

    @abstractmethod
    def _run(self, batch: Sequence[ReadT]) -> list[Ending]:
        """Run a batch, and return the ending of each of its requests."""

    @abstractmethod
    def _fault_of(self, error: Exception) -> Fault:
        """Return the fault of a request that failed alone with this error. Raises the error if the device itself is gone."""

    @abstractmethod
    def close(self) -> None:
        """Free the devices. No method may be called afterwards."""

    def submit(self, request: GenerationRequest) -> None:
        with self._lock:
            self._submitted[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if any(request_id in requests for requests in (self._submitted, self._waiting, self._running)):
                self._cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        done = self._end_cancelled() + self._read_submitted()
        if batch := self._next_batch():
            began_ns = self._clock_ns()
            results = self._run_or_halve(batch)
            done += self._finish_step(batch, results, began_ns)
        return done

    def stats(self) -> EngineStats:
        with self._lock:
            age_ns = self._clock_ns() - self._start_ns
            return EngineStats(
                device=self._device_name,
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

    def _end_cancelled(self) -> list[Completion]:
        """End the requests that were cancelled while they waited."""
        with self._lock:
            cancelled = [name for name in self._cancelled if name in self._submitted or name in self._waiting]
            for name in cancelled:
                self._submitted.pop(name, None)
                self._waiting.pop(name, None)
            self._cancelled.clear()
            return [Completion(name, "", "cancelled") for name in cancelled]

    def _read_submitted(self) -> list[Completion]:
        """Turn submitted prompts into tokens. Returns the completions of requests that the model cannot or need not read."""
        with self._lock:
            arrived = list(self._submitted.values())
        ended = []
        for request in arrived:
            found = self._read(request)
            with self._lock:
                del self._submitted[request.request_id]
                if isinstance(found, Fault):
                    found = Completion(request.request_id, "", "error", fault=found)
                if isinstance(found, Completion):
                    ended.append(found)
                    self._cancelled.discard(request.request_id)
                else:
                    self._waiting[request.request_id] = found
        return ended

    def _next_batch(self) -> list[ReadT]:
        """Take the next batch from the waiting requests, and return it. It is empty if no request waits."""
        with self._lock:
            if not self._waiting:
                return []
            batch = self._choose(list(self._waiting.values()))
            self._running = {one.request.request_id: one for one in batch}
            for name in self._running:
                del self._waiting[name]
            return batch

    def _run_or_halve(self, batch: Sequence[ReadT]) -> list[Result]:
        """Return the result of each request of a batch. If the batch fails, its halves run again."""
        try:
            return list(self._run(batch))
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything, and must end only one request
            fault = self._fault_of(error)
        if len(batch) == 1:
            return [fault]
        half = len(batch) // 2
        return self._run_or_halve(batch[:half]) + self._run_or_halve(batch[half:])

    def _finish_step(self, batch: Sequence[ReadT], results: Sequence[Result], began_ns: int) -> list[Completion]:
        """Return the completions of a batch. The step's time is split over them by their tokens."""
        spent_ns = self._clock_ns() - began_ns
        pairs = list(zip(batch, results, strict=True))
        weights = [len(one.tokens) + self._output_weight * _output_tokens(result) for one, result in pairs]
        shares = split_time(spent_ns, weights)
        with self._lock:
            self._busy_ns += spent_ns
            self._steps += 1
            self._prompt_tokens += sum(len(one.tokens) for one in batch)
            self._completion_tokens += sum(map(_output_tokens, results))
            self._cancelled -= self._running.keys()
            self._running = {}
        completions = (_completion(*pair, share_ns) for pair, share_ns in zip(pairs, shares, strict=True))
        return [replace(one, begun_ns=began_ns) for one in completions]


def _output_tokens(result: Result) -> int:
    return 0 if isinstance(result, Fault) else result.tokens


def _completion(one: Read, result: Result, share_ns: int) -> Completion:
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
        constraint=None if one.request.prompt.schema is None else "none",
        alternatives=result.alternatives,
        encoding=result.encoding,
    )


def batch_of_oldest(waiting: Sequence[RowT], length: Callable[[RowT], int], rows: int, tokens: int) -> list[RowT]:
    """Return the next batch, shortest first: waiting rows are divided into batches by length, and it is the one of the first row.

    The first of `waiting` has waited longest, so none waits for ever. Each batch from the longest rows down is full, so the same
    rows make the same batches whichever of them came first, and no rows are left over between two batches.

    Args:
        waiting: The rows that wait, in the order in which they came; at least one.
        length: Returns the number of tokens of a row.
        rows: The most rows of a batch.
        tokens: The most tokens of a batch, each row counted as long as the longest one. One row may have more.
    """
    oldest = waiting[0]
    batch: list[RowT] = []
    for row in sorted(waiting, key=length, reverse=True):
        if batch and (len(batch) >= rows or (len(batch) + 1) * length(batch[0]) > tokens):
            if any(one is oldest for one in batch):
                break
            batch = []
        batch.append(row)
    return sorted(batch, key=length)
