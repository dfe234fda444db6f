"""vLLM's scheduler, which also records what each step computes. Only an environment with vLLM can import this module.

vLLM does not tell which requests a step has computed. We need it: each request pays for its share of the steps' time, and a row
that waits has another time limit than one that runs.
"""

from dataclasses import dataclass
from typing import Any

from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The part of one request in a step: the tokens that are computed for it, and whether it gets a new token."""

    tokens: int
    samples: bool

    @property
    def weight(self) -> int:
        """The work of this part, in tokens computed; to choose a token counts as much as to compute one."""
        return self.tokens + self.samples


class RecordingScheduler(Scheduler):  # type: ignore[misc]  # vLLM is not there where types are checked
    """The scheduler. It is vLLM's own, first come first served."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorded: dict[str, Scheduled] = {}

    def schedule(self, *args: Any, **kwargs: Any) -> SchedulerOutput:
        """Schedule a step, and record it."""
        output = super().schedule(*args, **kwargs)
        for name, tokens in output.num_scheduled_tokens.items():
            request = self.requests[name]
            self._recorded[name] = Scheduled(tokens, samples=request.num_computed_tokens >= request.num_tokens)
        return output

    def take_recorded(self) -> dict[str, Scheduled]:
        """Return what was scheduled since the last call, by vLLM's ids of the requests."""
        recorded, self._recorded = self._recorded, {}
        return recorded

    def output_of(self, name: str) -> list[int]:
        """Return the tokens that a request has so far; none if it is not there."""
        request = self.requests.get(name)
        return [] if request is None else list(request.output_token_ids)
