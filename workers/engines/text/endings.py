"""A completion ends at an end token of the model or the request, at a stop text, at max_tokens, or when it is cancelled."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.generation import FinishReason, SamplingParams, TokenLogprob

TAIL_TOKENS: Final = 8
"""A stop text is first looked for in the last tokens alone, because it is slow to decode a long text after every token. The
number of these last tokens is TAIL_TOKENS, plus four for each character of the longest stop text.
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """The reason why a completion ended, its text, its number of tokens (an end token included), and its log probabilities."""

    reason: FinishReason
    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


def ending_of(
    tokens: list[int],
    params: SamplingParams,
    *,
    eos: Container[int],
    decode: Callable[[list[int]], str],
    cancelled: bool = False,
) -> Ending | None:
    """Return how a completion ends with its last token; None if it does not end there. Call this after every token.

    Args:
        tokens: The completion so far.
        params: The request's sampling params: stop, stop_token_ids, min_tokens and max_tokens.
        eos: The end tokens of the model.
        decode: Turns tokens into text, without special tokens.
        cancelled: Whether the request was cancelled.
    """
    if params.stop and len(tokens) >= params.min_tokens:
        tail = TAIL_TOKENS + 4 * max(map(len, params.stop))
        if len(tokens) <= tail or stop_at(decode(tokens[-tail:]), params.stop) is not None:
            whole = decode(tokens)
            floor = len(decode(tokens[: max(0, params.min_tokens - 1)]))
            if (cut := stop_at(whole, params.stop, floor)) is not None:
                return Ending("stop", whole[:cut], len(tokens))
    reason: FinishReason
    if (tokens[-1] in eos or tokens[-1] in params.stop_token_ids) and len(tokens) >= params.min_tokens:
        reason = "stop"
    elif cancelled:
        reason = "cancelled"
    elif len(tokens) >= params.max_tokens:
        reason = "length"
    else:
        return None
    return Ending(reason, decode(tokens), len(tokens))


def stop_at(text: str, stop: Sequence[str], floor: int = 0) -> int | None:
    """Return the place in `text` where the earliest stop text begins; None if there is none.

    Stop texts that end within the first `floor` characters do not count.
    """
    found = (text.find(one, max(0, floor - len(one) + 1)) for one in stop if one)
    return min((place for place in found if place >= 0), default=None)
