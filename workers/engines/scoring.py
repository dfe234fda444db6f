"""Scores continuations over any engine: a prompt with several becomes a request for each, whose answers are joined again.

What the prompt has in common is computed once where the engine shares prefixes. The engine behind it is given prompts with
one continuation at most, whose tokens it takes instead of choosing, and says how likely each was.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jobs.generation import Completion, ContinuationScore, GenerationRequest
from workers.engines.protocol import Engine, EngineStats


@dataclass(slots=True)
class _Parts:
    """The ids of a request's parts, in the order of its continuations, and those that are answered."""

    request_id: str
    ids: list[str]
    done: dict[str, Completion] = field(default_factory=dict)


class ScoringEngine:
    """The engine. See `workers.engines.protocol.Engine` for the five methods. `inner` is the one that computes."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._asked: dict[str, _Parts] = {}
        self._part_of: dict[str, _Parts] = {}

    def submit(self, request: GenerationRequest) -> None:
        texts = request.prompt.continuations
        if not texts:
            self.inner.submit(request)
            return
        parts = _Parts(request.request_id, [f"{request.request_id}/{n}" for n in range(len(texts))])
        with self._lock:
            self._asked[request.request_id] = parts
            self._part_of.update(dict.fromkeys(parts.ids, parts))
        for part, text in zip(parts.ids, texts, strict=True):
            self.inner.submit(GenerationRequest(part, replace(request.prompt, continuations=(text,))))

    def cancel(self, request_id: str) -> None:
        with self._lock:
            parts = self._asked.get(request_id)
        for name in parts.ids if parts else [request_id]:
            self.inner.cancel(name)

    def step(self) -> Sequence[Completion]:
        done = []
        for completion in self.inner.step():
            with self._lock:
                parts = self._part_of.pop(completion.request_id, None)
            if parts is None:
                done.append(completion)
                continue
            parts.done[completion.request_id] = completion
            if len(parts.done) == len(parts.ids):
                with self._lock:
                    del self._asked[parts.request_id]
                done.append(_joined(parts))
        return done

    def stats(self) -> EngineStats:
        return self.inner.stats()

    def close(self) -> None:
        self.inner.close()


def _joined(parts: _Parts) -> Completion:
    """One answer: the sums of what the parts took, and a score for each; a fault or a cancelled part is that of all."""
    answers = [parts.done[name] for name in parts.ids]
    fault = next((one.fault for one in answers if one.fault), None)
    cancelled = any(one.finish_reason == "cancelled" for one in answers)
    ended = fault is not None or cancelled
    return Completion(
        parts.request_id,
        "",
        "error" if fault else "cancelled" if cancelled else "stop",
        prompt_tokens=sum(one.prompt_tokens for one in answers),
        cached_prompt_tokens=sum(one.cached_prompt_tokens for one in answers),
        completion_tokens=sum(one.completion_tokens for one in answers),
        device_ns=sum(one.device_ns for one in answers),
        fault=fault,
        scores=() if ended else tuple(_score(one) for one in answers),
    )


def _score(answer: Completion) -> ContinuationScore:
    greedy = all(one.token_id == one.top[0].token_id for one in answer.logprobs)
    return ContinuationScore(tuple(replace(one, top=()) for one in answer.logprobs), greedy)
