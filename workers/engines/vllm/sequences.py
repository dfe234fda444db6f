"""A request inside vLLM: what it has written, what it took, and how it ends. This module knows no vLLM."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.generation import Completion, Constraint, Fault, FinishReason
from workers.engines.text.answer_start import AnswerStart
from workers.engines.text.encoding import Encoded, Encoder, SampledLogprob
from workers.engines.text.endings import Ending, ending_of, split_ending
from workers.engines.text.grammar import Grammar
from workers.engines.text.reasoning import Thoughts
from workers.engines.vllm.sampling import logprobs_of


@dataclass(frozen=True, slots=True)
class Answers:
    """What a request that its schema constrains does once its answer begins: it starts anew at vLLM, after `kept` tokens."""

    kept: int


Result = Ending | Fault

_REASONS: Final[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length"}
"""vLLM's reasons for the end of a completion, as ours. All others are faults."""


@dataclass(slots=True, eq=False)
class VllmSequence:
    """One request. vLLM scores one token at a time, so a request with a continuation has a part for each of its tokens.

    Args:
        encoded: The request with its tokens.
        thoughts: Follows its thoughts; None if it cannot have any.
        grammar: The grammar of its schema, which may still be in the making; None if it has no schema.
        latest_s: The time, by the monotonic clock, until which it waits for its grammar.
        constraint: How far its schema constrains it; None if it has no schema.
        start: Finds where its answer begins, if its schema constrains it and thoughts may come first.
        parts: vLLM's ids of its parts, in order, in two forms: the one that we gave, and vLLM's own.
        live: Those of vLLM's own ids that vLLM still works on.
        output: The tokens that it has written.
        logprobs: Their log probabilities, if it wants them.
        scored: Part -> its log probability.
        cached: The tokens of its prompt that were not computed again.
        starts_anew: Whether it was handed to vLLM a second time, when its answer began.
    """

    encoded: Encoded
    thoughts: Thoughts | None
    grammar: "Future[Grammar] | None" = None
    latest_s: float = 0.0
    constraint: Constraint | None = None
    start: AnswerStart | None = None
    parts: dict[str, str] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    output: list[int] = field(default_factory=list)
    logprobs: list[SampledLogprob] = field(default_factory=list)
    scored: dict[str, SampledLogprob] = field(default_factory=dict)
    cached: int = 0
    starts_anew: bool = False
    device_ns: int = 0
    begun_ns: int = 0
    first_token_ns: int = 0

    @property
    def request_id(self) -> str:
        """The id of the request."""
        return self.encoded.request.request_id

    @property
    def is_adapted(self) -> bool:
        """Whether it has an adapter."""
        return self.encoded.request.prompt.adapter is not None

    @property
    def by_token(self) -> bool:
        """Whether each token must be looked at: it may be the last of a stop text, or of thoughts."""
        return bool(self.encoded.request.prompt.params.stop or self.encoded.mixed_stops or self.thoughts is not None)

    def take(self, part: str, answer: Any, encoder: Encoder, eos: Sequence[int]) -> Result | Answers | None:
        """Take what vLLM has written (a RequestOutput). Returns how the request ends or starts anew; None if it goes on."""
        written = answer.outputs[0]
        if answer.finished:
            self.live.discard(self.parts[part])
        if answer.finished and written.finish_reason not in _REASONS:
            return Fault("generation_failed", f"vLLM ended the request: {written.finish_reason}", retryable=True)
        if part == next(iter(self.parts)) and not self.starts_anew:
            self.cached = min(max(answer.num_cached_tokens or 0, self.cached), len(self.encoded.tokens))
        if self.encoded.forced:
            return self._scored(part, written)
        params = self.encoded.request.prompt.params
        new = list(written.token_ids)
        if params.logprobs is not None:
            self.logprobs += logprobs_of(new, written.logprobs, params.logprobs)
        if not self.by_token:
            self.output += new
            return self._ending(encoder, eos) or self._ended(_REASONS[written.finish_reason], encoder)
        for token in new:
            self.output.append(token)
            if (ending := self._ending(encoder, eos)) is not None:
                return ending
            if (answers := self._answers()) is not None:
                return answers
        return self._ended(_REASONS[written.finish_reason], encoder) if answer.finished else None

    def start_anew(self, kept: int) -> None:
        """Forget what was written beyond `kept` tokens, since the rest is written under the schema."""
        del self.output[kept:], self.logprobs[kept:]
        self.start, self.starts_anew = None, True

    def cancelled(self, output: list[int], encoder: Encoder) -> Ending:
        """Return the ending of a request that was cancelled after these tokens."""
        self.output = output
        return self._ended("cancelled", encoder)

    def completion(self, result: Result, encoder: Encoder) -> Completion:
        """Return the completion of the request."""
        prompt_tokens = len(self.encoded.tokens)
        if isinstance(result, Fault):
            return Completion(
                self.request_id,
                "",
                "error",
                prompt_tokens,
                self.cached,
                len(self.output),
                self.device_ns,
                fault=result,
                constraint=self.constraint,
                begun_ns=self.begun_ns,
                first_token_ns=self.first_token_ns,
            )
        return Completion(
            self.request_id,
            result.text,
            result.reason,
            prompt_tokens,
            self.cached,
            result.tokens,
            self.device_ns,
            logprobs=encoder.logprobs(self.logprobs[: result.tokens]),
            prompt_sha256=self.encoded.prompt_sha256,
            reasoning=result.reasoning,
            reasoning_tokens=result.reasoning_tokens,
            constraint=self.constraint,
            begun_ns=self.begun_ns,
            first_token_ns=self.first_token_ns,
        )

    def _answers(self) -> Answers | None:
        """Return where the answer begins, if it just did. If it begins within a token, no schema can constrain it any more."""
        if self.start is None:
            return None
        found = self.start.look(self.output)
        if not found.answers or found.marks:
            return None
        if found.text.strip():
            self.start = None
            return None
        return Answers(len(self.output) - len(found.tokens))

    def _scored(self, part: str, written: Any) -> Result | None:
        self.scored.setdefault(part, logprobs_of(written.token_ids, written.logprobs, 1)[0])
        if len(self.scored) < len(self.parts):
            return None
        self.output = list(self.encoded.forced)
        self.logprobs = [self.scored[part] for part in self.parts]
        return Ending("length", "", len(self.output))

    def _ending(self, encoder: Encoder, eos: Sequence[int]) -> Ending | None:
        return ending_of(
            self.output,
            self.encoded.request.prompt.params,
            eos=eos,
            decode=encoder.decode,
            thoughts=self.thoughts,
            mixed_stops=self.encoded.mixed_stops,
        )

    def _ended(self, reason: FinishReason, encoder: Encoder) -> Ending:
        if self.thoughts is not None:
            return split_ending(reason, self.output, self.thoughts)
        return Ending(reason, encoder.decode(self.output), len(self.output))
