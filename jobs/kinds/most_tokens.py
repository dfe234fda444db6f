"""The most tokens that a row may be charged: those of the prompts and completions that its kind keeps in one attempt.

A budget reserves the price of this many tokens before the row is fed. A kind that knows its prompts has a method `most_tokens`,
which returns a `Most`. For another kind the number is estimated from its expected tokens. A worker charges no more than was
reserved (jobs/batches/budgets/reservation.py), so an estimate that is too small makes a row cheaper, and passes no budget.
"""

from typing import Final, NamedTuple, Protocol, runtime_checkable

import orjson
from pydantic import BaseModel

from jobs.kinds.kind import Kind

BYTES_A_TOKEN: Final = 2
"""A token of a prompt has at least so many bytes on average, in any script."""

MESSAGE: Final = 256
"""Tokens that a chat template, its roles and its own system message add to a prompt, at most."""

CORRECTION: Final = 512
"""Tokens of the words that ask for an answer again, at most. The answer itself stands before them."""

UNKNOWN: Final = 8
"""The completions of a kind without `most_tokens` have at most this many times the tokens that it expects."""


class Most(NamedTuple):
    """The most tokens of a row: `prompt` bytes of all kept prompts, `completion` tokens in `texts` kept completions.

    `completion` is under the kind's own limits. A row's own `max_tokens` replaces the limit of each text.
    """

    prompt: int
    completion: int
    texts: int


@runtime_checkable
class Bounded(Protocol):
    """A kind that knows the most tokens of its rows."""

    def most_tokens(self, request: BaseModel) -> Most:
        """Return the most bytes of the kept prompts, and the most tokens of the kept completions."""
        ...


def most_of(kind: Kind, request: BaseModel, max_tokens: int | None, thoughts: int) -> tuple[int, int]:
    """Return the most tokens of the kept prompts and of the kept completions of a row.

    `max_tokens` is the row's own limit for each text. Without it, a reasoning model may write `thoughts` tokens more for each.
    """
    most = kind.most_tokens(request) if isinstance(kind, Bounded) else _unknown(kind, request)
    completion = most.texts * max_tokens if max_tokens is not None else most.completion + most.texts * thoughts
    again = most.texts * (MESSAGE + CORRECTION) + completion
    return most.prompt // BYTES_A_TOKEN + again, completion


def size_of(request: BaseModel) -> int:
    """Return the bytes of a request as JSON."""
    return len(orjson.dumps(request.model_dump(mode="json", exclude_unset=True)))


def _unknown(kind: Kind, request: BaseModel) -> Most:
    expected = UNKNOWN * max(kind.expected_tokens(request), 1)
    return Most(4 * (size_of(request) + 4 * expected), expected, 4)
