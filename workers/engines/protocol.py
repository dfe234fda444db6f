"""The engine protocol: what turns prompts into completions, on one or more devices.

An engine knows prompts and nothing of jobs, kinds, queues or storage. One thread submits and steps; `cancel` and `stats`
may be called from any. Whatever it is given, it fails that request alone: a request that cannot run (empty prompt,
token out of range, longer than the context) comes back from `step` as a completion with a fault, never as an exception.
An exception from `step` means that the engine itself is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.generation import Completion, GenerationRequest


@dataclass(frozen=True, slots=True)
class EngineStats:
    """An engine's account of itself since it was made. Times are nanoseconds of its devices.

    `busy_ns` equals the sum of `device_ns` over all completions that it has given and will give for work already done;
    `busy_ns + idle_ns + load_ns` is its age. `device` is the name that prices go by.
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
    """Five methods."""

    def submit(self, request: GenerationRequest) -> None:
        """Take a request in line. Its completion comes from a later `step`, also when it cannot run."""
        ...

    def cancel(self, request_id: str) -> None:
        """Stop a request soon: it ends with finish reason `cancelled` and the text so far. Unknown ids are passed over."""
        ...

    def step(self) -> Sequence[Completion]:
        """Do one bounded piece of work and return what it finished. With nothing in line, returns at once."""
        ...

    def stats(self) -> EngineStats:
        """The account so far."""
        ...

    def close(self) -> None:
        """Free the devices. Nothing may be called afterwards."""
        ...
