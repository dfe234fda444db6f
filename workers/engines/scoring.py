"""The scoring engine scores several continuations of a prompt. Its inner engine need only score one continuation at a time.

The scoring engine makes one request for each continuation, and joins the completions of these requests. For such a request the
inner engine samples no tokens. It takes the tokens of the continuation, and returns their log probabilities. An inner engine with
prefix sharing computes the prompt only once. Requests without continuations go to the inner engine unchanged.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jobs.generation import Completion, ContinuationScore, GenerationRequest
from workers.engines.protocol import Engine, EngineStats


@dataclass(slots=True)
class _Parts:
    """A request that was split into parts, one for each continuation.

    `ids` are the request ids of the parts, in order. `done` holds the completions of parts that have ended, by these ids.
    """

    request_id: str
    ids: list[str]
    done: dict[str, Completion] = field(default_factory=dict)


class ScoringEngine:
    """The engine. `workers.engines.protocol.Engine` describes its five methods. `inner` is the engine that computes."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._pending: dict[str, _Parts] = {}
        self._part_of: dict[str, _Parts] = {}

    def submit(self, request: GenerationRequest) -> None:
        texts = request.prompt.continuations
        if not texts:
            self.inner.submit(request)
            return
        parts = _Parts(request.request_id, [f"{request.request_id}/{n}" for n in range(len(texts))])
        with self._lock:
            self._pending[request.request_id] = parts
            self._part_of.update(dict.fromkeys(parts.ids, parts))
        for part, text in zip(parts.ids, texts, strict=True):
            self.inner.submit(replace(request, request_id=part, prompt=replace(request.prompt, continuations=(text,))))

    def cancel(self, request_id: str) -> None:
        with self._lock:
            parts = self._pending.get(request_id)
        for part_id in parts.ids if parts else [request_id]:
            self.inner.cancel(part_id)

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
                    del self._pending[parts.request_id]
                done.append(_join(parts))
        return done

    def stats(self) -> EngineStats:
        return self.inner.stats()

    def close(self) -> None:
        self.inner.close()


def _join(parts: _Parts) -> Completion:
    """Return the completion of the whole request: the scores of all parts, and the sums of the parts' tokens and times.

    If a part has a fault, the whole request gets that fault. Else, if a part was cancelled, the whole request counts as
    cancelled. There are no scores in either case.
    """
    parts_done = [parts.done[part_id] for part_id in parts.ids]
    fault = next((one.fault for one in parts_done if one.fault), None)
    cancelled = any(one.finish_reason == "cancelled" for one in parts_done)
    ended = fault is not None or cancelled
    return Completion(
        parts.request_id,
        "",
        "error" if fault else "cancelled" if cancelled else "stop",
        prompt_tokens=sum(one.prompt_tokens for one in parts_done),
        cached_prompt_tokens=sum(one.cached_prompt_tokens for one in parts_done),
        completion_tokens=sum(one.completion_tokens for one in parts_done),
        device_ns=sum(one.device_ns for one in parts_done),
        fault=fault,
        prompt_sha256=parts_done[0].prompt_sha256,
        scores=() if ended else tuple(_score(one) for one in parts_done),
    )


def _score(completion: Completion) -> ContinuationScore:
    greedy = all(one.token_id == one.top[0].token_id for one in completion.logprobs)
    return ContinuationScore(tuple(replace(one, top=()) for one in completion.logprobs), greedy)
