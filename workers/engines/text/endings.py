"""A completion ends at an end token of the model or the request, at a stop text, at max_tokens, or when it is cancelled."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Final

from jobs.generation import Encoding, FinishReason, GenerationRequest, SamplingParams, TokenLogprob
from workers.engines.text.mixed_stops import MixedStop
from workers.engines.text.reasoning import Thoughts
from workers.engines.text.reasoning_forms import Decode
from workers.engines.text.thinking import Answer

TAIL_TOKENS: Final = 8
"""A stop text is first looked for in the last tokens alone, because it is slow to decode a long text after every token. The
number of these last tokens is TAIL_TOKENS, plus four for each character of the longest stop text.
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """The reason why a completion ended, its text, its number of tokens (an end token included), and its log probabilities.

    `reasoning` is the thoughts before the text, and `reasoning_tokens` the number of tokens before the text. `alternatives` are
    the next best texts of a search with beams. `encoding` is what an encoder found, which writes no text.
    """

    reason: FinishReason
    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    reasoning: str = ""
    reasoning_tokens: int = 0
    alternatives: tuple[str, ...] = ()
    encoding: Encoding | None = None


def ending_of(
    tokens: list[int],
    params: SamplingParams,
    *,
    eos: Container[int],
    decode: Decode,
    cancelled: bool = False,
    thoughts: Thoughts | None = None,
    mixed_stops: Sequence[MixedStop] = (),
) -> Ending | None:
    """Return how a completion ends with its last token; None if it does not end there. Call this after every token.

    Stop texts, and stop tokens that are ordinary tokens, do not end thoughts.

    Args:
        tokens: The completion so far.
        params: The request's sampling params: stop, stop_token_ids, min_tokens and max_tokens.
        eos: The end tokens of the model.
        decode: Turns tokens into text, without special tokens.
        cancelled: Whether the request was cancelled.
        thoughts: Follows the thoughts of this completion; None if its model does not reason.
        mixed_stops: The stop texts of `params` that have special tokens.
    """
    answer = Answer() if thoughts is None else thoughts.answer(tokens)
    stopping = _Stopping(tokens, params, decode, thoughts, mixed_stops)
    if answer is not None and (stopped := stopping.ending(answer)):
        return stopped
    by_end_token = len(tokens) >= params.min_tokens and (
        tokens[-1] in eos
        or (
            tokens[-1] in params.stop_token_ids
            and (
                thoughts is None
                or (answer is not None and len(tokens) > answer.first)
                or thoughts.marks.is_special(tokens[-1])
            )
        )
    )
    reason: FinishReason
    if by_end_token:
        reason = "stop"
    elif cancelled:
        reason = "cancelled"
    elif len(tokens) >= params.max_tokens or _answer_is_full(tokens, thoughts, answer):
        reason = "length"
    else:
        return None
    if thoughts is None:
        return Ending(reason, decode(tokens), len(tokens))
    late = thoughts.answer(tokens, ended=True) if answer is None else None
    if late is not None and (stopped := stopping.ending(late)):
        return stopped
    return split_ending(reason, tokens, thoughts, by_end_token=by_end_token)


def further_texts(
    best: str, others: Sequence[list[int]], request: GenerationRequest, decode: Decode
) -> tuple[str, ...]:
    """Return the next best texts of a search, best first: as many as the request wants, each different, without the best one.

    Args:
        best: The best text.
        others: The tokens of the further texts, best first, without those that were cut off.
        request: The request. One with stop texts or stop tokens gets no further texts, since a search does not stop at them.
        decode: Turns tokens into text, without special tokens.
    """
    params, asked = request.prompt.params, request.prompt.translatable
    if asked is None or not asked.alternatives or params.stop or params.stop_token_ids:
        return ()
    different = dict.fromkeys(map(decode, others))
    different.pop(best, None)
    return tuple(different)[: asked.alternatives]


def split_ending(reason: FinishReason, tokens: list[int], thoughts: Thoughts, *, by_end_token: bool = False) -> Ending:
    """Return the ending of a completion whose thoughts are kept apart from its text."""
    split = thoughts.split(tokens, by_end_token=by_end_token)
    return Ending(reason, split.text, len(tokens), reasoning=split.reasoning, reasoning_tokens=split.reasoning_tokens)


@dataclass(frozen=True, slots=True)
class _Stopping:
    """A completion that may have reached a stop text with its last token."""

    tokens: list[int]
    params: SamplingParams
    decode: Decode
    thoughts: Thoughts | None
    mixed_stops: Sequence[MixedStop]

    def ending(self, answer: Answer) -> Ending | None:
        """Return the ending at the first stop text of the answer; None if the answer has no stop text."""
        if not self.params.stop or len(self.tokens) < self.params.min_tokens:
            return None
        found = [text for text in (self._before_stop(answer), *self._before_mixed_stops(answer)) if text is not None]
        if not found:
            return None
        if self.thoughts is None:
            return Ending("stop", min(found, key=len), len(self.tokens))
        return replace(split_ending("stop", self.tokens, self.thoughts), text=min(found, key=len))

    def _before_stop(self, answer: Answer) -> str | None:
        """Return the text of the answer before its first stop text; None if it has no stop text."""
        tokens, params = self.tokens, self.params
        tail = TAIL_TOKENS + 4 * max(map(len, params.stop))
        if len(tokens) > tail and stop_at(self.decode(tokens[-tail:]), params.stop) is None:
            return None
        decode = self._decode_answer(answer)
        text, floor = decode(tokens), len(decode(tokens[: max(0, params.min_tokens - 1)]))
        cut = stop_at(text, params.stop, floor)
        return None if cut is None else text[:cut]

    def _before_mixed_stops(self, answer: Answer) -> list[str | None]:
        decode, least = self._decode_answer(answer), self.params.min_tokens
        return [one.cut(self.tokens, decode, first=answer.first, least=least) for one in self.mixed_stops]

    def _decode_answer(self, answer: Answer) -> Decode:
        return self.decode if self.thoughts is None else self.thoughts.decoded(answer)


def _answer_is_full(tokens: list[int], thoughts: Thoughts | None, answer: Answer | None) -> bool:
    """Whether the answer, without the thoughts, has the most tokens that it may have."""
    limit = None if thoughts is None else thoughts.thinking.answer_tokens
    return limit is not None and answer is not None and len(tokens) - answer.first >= limit


def stop_at(text: str, stop: Sequence[str], floor: int = 0) -> int | None:
    """Return the place in `text` where the earliest stop text begins; None if there is none.

    Stop texts that end within the first `floor` characters do not count.
    """
    found = (text.find(one, max(0, floor - len(one) + 1)) for one in stop if one)
    return min((place for place in found if place >= 0), default=None)
