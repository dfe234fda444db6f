"""The engine protocol: an engine turns prompts into completions, on one or more devices.

An engine knows prompts; it knows no jobs, kinds, queues or storage. One thread calls `submit` and `step`; `cancel` and `stats`
may be called from any thread. A request that cannot run (an empty prompt, a token out of range, longer than the context) fails
alone: `step` raises nothing, and returns a completion with a fault for that request. If `step` raises, the engine itself has
failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.generation import Completion, GenerationRequest


@dataclass(frozen=True, slots=True)
class EngineStats:
    """The figures of an engine since it was made. Times are in nanoseconds of its devices.

    `busy_ns` is the time spent on requests: the sum of `device_ns` over the completions returned so far, plus the work already
    done for completions still to come. `busy_ns + idle_ns + load_ns` is the engine's age. `device` is the name under which prices
    are set.
    """

    device: str
    slots: int
    waiting: int
    running: int
    steps: int
    prompt_tokens: int
    completion_tokens: int
    busy_ns: int
    idle_ns: int
    load_ns: int


class Engine(Protocol):
    """The interface that workers, replays and benchmarks call. The module's docstring has its rules for threads and faults."""

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request. A later `step` returns its completion, even if the request cannot run."""
        ...

    def cancel(self, request_id: str) -> None:
        """Stop a request soon. It ends with the finish reason `cancelled` and its text so far. Unknown ids are ignored."""
        ...

    def step(self) -> Sequence[Completion]:
        """Do one bounded piece of work and return the completions of requests that ended. Without work, return at once."""
        ...

    def stats(self) -> EngineStats:
        """Return the figures so far."""
        ...

    def close(self) -> None:
        """Free the devices. No method may be called afterwards."""
        ...
