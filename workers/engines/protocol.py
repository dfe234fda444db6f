"""The engine protocol: an engine turns prompts into completions, on one or more devices.

An engine knows prompts. It knows no jobs, kinds, queues or storage. One thread calls `submit` and `step`. Any thread may call
`cancel` and `stats`. A request that cannot run (an empty prompt, a token out of range, longer than the context) fails alone.
`step` raises nothing, and returns a completion with a fault for that request. If `step` raises, the engine itself has
failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.generation import Completion, GenerationRequest


@dataclass(frozen=True, slots=True)
class EngineStats:
    """The figures of an engine since it was made. Times are in nanoseconds of the engine's devices.

    `busy_ns` is the time spent on requests: the sum of `device_ns` over the completions returned so far, plus the time already
    spent on requests whose completions will be returned later. `busy_ns + idle_ns + load_ns` is the engine's age. `device` is the
    name under which the device's price is set.
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
    """The interface that workers, replays and benchmarks call. The module's docstring has the rules for threads and faults."""

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request. A later `step` returns its completion, even if the request cannot run."""
        ...

    def cancel(self, request_id: str) -> None:
        """Stop a request soon. Unknown ids are ignored.

        The request ends with the finish reason `cancelled` and its text so far.
        """
        ...

    def step(self) -> Sequence[Completion]:
        """Do a bounded amount of work, and return the completions of requests that ended. If there is no work, return at once."""
        ...

    def stats(self) -> EngineStats:
        """Return the figures so far."""
        ...

    def close(self) -> None:
        """Free the devices. No method may be called afterwards."""
        ...
