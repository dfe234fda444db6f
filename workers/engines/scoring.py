"""The scoring engine scores several continuations of a prompt. Its inner engine need only score one continuation at a time.

The scoring engine makes one request for each continuation, and joins the completions of these requests. For such a request the
inner engine samples no tokens. It takes the tokens of the continuation, and returns their log probabilities. An inner engine with
prefix sharing computes the prompt only once. Requests without continuations go to the inner engine unchanged.

Scores have no chance in them: equal prompts have equal scores. So a prompt that is being scored, or was scored lately, is not
computed again. All rows with the same labels ask for such prompts, to learn how likely the labels are without any content. Such a
prompt has as many tokens as one that is computed; they count as cached, as those of a shared prefix, and take no device time.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from jobs.generation import Completion, ContinuationScore, GenerationRequest
from workers.engines.protocol import Engine, EngineStats

KEPT_PROMPTS: Final = 1_024
"""The scores of this many prompts are kept. Those that were not asked for the longest are dropped first."""


@dataclass(slots=True)
class _Parts:
    """A prompt that is being scored, in parts, one for each continuation.

    `ids` are the request ids of the parts, in order. `done` holds the completions of parts that have ended, by these ids.
    `asked_by` are the ids of the requests that wait for the scores; the first of them pays the device time.
    """

    key: str
    ids: list[str]
    asked_by: list[str]
    done: dict[str, Completion] = field(default_factory=dict)


class ScoringEngine:
    """The engine. `workers.engines.protocol.Engine` describes its five methods. `inner` is the engine that computes."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._pending: dict[str, _Parts] = {}
        self._part_of: dict[str, _Parts] = {}
        self._ready: dict[str, Completion] = {}
        self._kept: OrderedDict[str, Completion] = OrderedDict()
        self._split = self._prompt_tokens = self._completion_tokens = 0

    def submit(self, request: GenerationRequest) -> None:
        texts = request.prompt.continuations
        if not texts:
            self.inner.submit(request)
            return
        key, request_id = _key(request), request.request_id
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                self._ready[request_id] = _again(kept, request_id)
                return
            if (parts := self._pending.get(key)) is not None:
                parts.asked_by.append(request_id)
                return
            self._split += 1  # part of the ids, since a request's own id may come again after it was cancelled
            ids = [f"{request_id}/{self._split}.{n}" for n in range(len(texts))]
            parts = _Parts(key, ids, [request_id])
            self._pending[key] = parts
            self._part_of.update(dict.fromkeys(ids, parts))
        for n, part_id in enumerate(ids):
            self.inner.submit(replace(request, request_id=part_id, continuation=n))

    def cancel(self, request_id: str) -> None:
        with self._lock:
            if request_id in self._ready:
                self._ready[request_id] = Completion(request_id, "", "cancelled")
                return
            parts = next((one for one in self._pending.values() if request_id in one.asked_by), None)
            if parts is not None and len(parts.asked_by) > 1:
                parts.asked_by.remove(request_id)
                self._ready[request_id] = Completion(request_id, "", "cancelled")
                return
            if parts is not None and self._pending.get(parts.key) is parts:
                del self._pending[parts.key]  # a later request must not wait for parts that end without scores
        for part_id in parts.ids if parts else [request_id]:
            self.inner.cancel(part_id)

    def step(self) -> Sequence[Completion]:
        with self._lock:
            done, self._ready = list(self._ready.values()), {}
            self._count(done)
        for completion in self.inner.step():
            with self._lock:
                parts = self._part_of.pop(completion.request_id, None)
            if parts is None:
                done.append(completion)
                continue
            parts.done[completion.request_id] = completion
            if len(parts.done) == len(parts.ids):
                done += self._ended(parts)
        return done

    def stats(self) -> EngineStats:
        """Return the figures of the inner engine. Tokens are counted as in the completions."""
        stats = self.inner.stats()
        with self._lock:
            waiting = len(self._ready) + sum(len(parts.asked_by) - 1 for parts in self._pending.values())
            return replace(
                stats,
                waiting=stats.waiting + waiting,
                prompt_tokens=stats.prompt_tokens + self._prompt_tokens,
                completion_tokens=stats.completion_tokens + self._completion_tokens,
            )

    def close(self) -> None:
        self.inner.close()

    def _ended(self, parts: _Parts) -> list[Completion]:
        """Return the completions of all requests that wait for these parts. Keeps the scores, if there are any."""
        with self._lock:
            if self._pending.get(parts.key) is parts:
                del self._pending[parts.key]
            first, *others = parts.asked_by
            joined = _join(parts, first)
            if joined.finish_reason == "stop":
                self._kept[parts.key] = joined
                while len(self._kept) > KEPT_PROMPTS:
                    self._kept.popitem(last=False)
            done = [joined, *(_again(joined, request_id) for request_id in others)]
            self._prompt_tokens -= sum(one.prompt_tokens for one in parts.done.values())
            self._completion_tokens -= sum(one.completion_tokens for one in parts.done.values())
            self._count(done)
        return done

    def _count(self, done: Sequence[Completion]) -> None:
        """Count the tokens of completions that the inner engine has not counted."""
        self._prompt_tokens += sum(one.prompt_tokens for one in done)
        self._completion_tokens += sum(one.completion_tokens for one in done)


def _key(request: GenerationRequest) -> str:
    """Return a hash of all that the scores depend on. Only chat templates may ask for the date."""
    date = request.created_at if request.prompt.messages else None
    return hashlib.sha256(repr((request.prompt.read, date)).encode(errors="surrogatepass")).hexdigest()


def _again(completion: Completion, request_id: str) -> Completion:
    """Return the completion of an equal prompt, which was not computed again."""
    if completion.finish_reason != "stop":
        return replace(completion, request_id=request_id, device_ns=0)
    return replace(completion, request_id=request_id, device_ns=0, cached_prompt_tokens=completion.prompt_tokens)


def _join(parts: _Parts, request_id: str) -> Completion:
    """Return the completion of the whole request: the scores of all parts, and the sum of the parts' times.

    All parts have the same prompt, so its tokens count once. They count as cached if they were for every part.

    If a part has a fault, the whole request gets that fault. Else, if a part was cancelled, the whole request counts as
    cancelled. There are no scores in either case.
    """
    parts_done = [parts.done[part_id] for part_id in parts.ids]
    fault = next((one.fault for one in parts_done if one.fault), None)
    cancelled = any(one.finish_reason == "cancelled" for one in parts_done)
    ended = fault is not None or cancelled
    return Completion(
        request_id,
        "",
        "error" if fault else "cancelled" if cancelled else "stop",
        prompt_tokens=max(one.prompt_tokens for one in parts_done),
        cached_prompt_tokens=min(one.cached_prompt_tokens for one in parts_done),
        completion_tokens=sum(one.completion_tokens for one in parts_done),
        device_ns=sum(one.device_ns for one in parts_done),
        fault=fault,
        prompt_sha256=parts_done[0].prompt_sha256,
        scores=() if ended else tuple(_score(one) for one in parts_done),
        begun_ns=min(one.begun_ns for one in parts_done),
    )


def _score(completion: Completion) -> ContinuationScore:
    greedy = all(one.token_id == one.top[0].token_id for one in completion.logprobs)
    return ContinuationScore(tuple(replace(one, top=()) for one in completion.logprobs), greedy)
