"""Engines for tests of the code around an engine: the test chooses their answers, and when they come."""

from collections.abc import Callable, Sequence

from jobs.generation import Completion, Fault, GenerationRequest
from workers.engines.protocol import EngineStats


def answer(request: GenerationRequest) -> Completion:
    """A completion that passes the checks of the kind chat."""
    return Completion(request.request_id, "Well said.", "stop", 4, 0, 2, 1000)


def fault(code: str, *, retryable: bool) -> Callable[[GenerationRequest], Completion]:
    """A function that answers each request with this fault."""
    return lambda r: Completion(r.request_id, "", "error", 4, 0, 1, 1000, Fault(code, "broken", retryable))


def row_of(request: GenerationRequest) -> int:
    """The row that a worker's request is for."""
    return int(request.request_id.partition("#")[0].rpartition("/")[2])


class Scripted:
    """An engine whose answers come from the function `answer`. If the function returns None, the request stays under way.

    `submitted` lists the ids of all requests in their order, `waiting` holds those without an answer.
    """

    def __init__(self, answer: Callable[[GenerationRequest], Completion | None] = answer, slots: int = 8) -> None:
        self.answer = answer
        self._slots = slots
        self.waiting: dict[str, GenerationRequest] = {}
        self.cancelled: set[str] = set()
        self.submitted: list[str] = []

    def submit(self, request: GenerationRequest) -> None:
        self.submitted.append(request.request_id)
        self.waiting[request.request_id] = request

    def cancel(self, request_id: str) -> None:
        if request_id in self.waiting:
            self.cancelled.add(request_id)

    def step(self) -> Sequence[Completion]:
        done = []
        for request_id, request in list(self.waiting.items()):
            answer = Completion(request_id, "", "cancelled") if request_id in self.cancelled else self.answer(request)
            if answer is not None:
                del self.waiting[request_id]
                done.append(answer)
        return done

    def stats(self) -> EngineStats:
        return EngineStats("cpu", self._slots, 0, len(self.waiting), 0, 0, 0, 0, 0, 0)

    def close(self) -> None:
        self.waiting.clear()
