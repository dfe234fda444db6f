"""The first prompts of a row, made without a model, and the most tokens that the row may be charged for.

A kind's later prompts depend on answers, so only its first prompts can be made beforehand. A kind that asks on has a method
`most_tokens`, which tells how much it may ask for in all.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard
from jobs.checks.checker import UNCHECKED
from jobs.errors import CheckFailed, RequestError, RowError, TemplateFault
from jobs.generation import Prompt
from jobs.kinds.kind import Kind, begin
from jobs.memory.row_memory import RowMemory

TEMPLATE_TOKENS: Final = 64
"""A chat template adds at most about this many tokens to a prompt."""
CORRECTION_TOKENS: Final = 1_024
"""A prompt that is asked again, since a check refused its answer, says what was wrong in at most about this many tokens."""


@dataclass(frozen=True, slots=True)
class MostTokens:
    """The most tokens that a completed row may be charged for.

    `thoughts` are those that a model may write beyond that if it is a reasoning model, which its card does not always tell. A
    row's own `max_tokens` includes them.
    """

    prompt: int = 0
    completion: int = 0
    thoughts: int = 0


def first_prompts(request: RowRequest, kind: Kind) -> Sequence[Prompt]:
    """Return a row's first prompts; none if its memory knows all that would be asked for.

    Raises RowError as a worker would; ValueError if the kind no longer takes such a request.
    """
    asked = kind.request_type.model_validate(dict(request.request))
    memory = None if request.known is None else RowMemory(request.known, request.hints or {})
    try:
        conversation = begin(kind, asked, UNCHECKED, memory)
        prompts = tuple(prompt.with_template_kwargs(request.chat_template_kwargs) for prompt in next(conversation, ()))
    except RowError:
        raise
    except RequestError as error:  # raised for a template; the message names the template and its fault
        field = error.field if isinstance(error, TemplateFault) else None
        raise CheckFailed("kind_failed", f"kind {kind.name}: {error}", field=field) from error
    except Exception as error:
        raise CheckFailed("kind_failed", f"kind {kind.name}: {error!r}") from error
    # the prompts are made: an error that the kind raises as it is closed does no harm
    with contextlib.suppress(Exception):
        conversation.close()
    return prompts


def most_tokens(request: RowRequest, kind: Kind, prompts: Sequence[Prompt], card: ModelCard) -> MostTokens:
    """Return the most tokens that a row may be charged for, given its first prompts.

    A completion has at most `max_tokens`. A prompt has at most a token for each byte, and what the chat template adds; if
    outputs are checked, it may be asked again with its answer and what was wrong with it. Answers that are thrown away are not
    charged. A later prompt of a kind that asks on has the first prompt and all answers before it in it, at most.
    """
    count = len(prompts)
    sizes = [_bytes_of(prompt) + TEMPLATE_TOKENS for prompt in prompts]
    completion = sum(_most_completion(prompt, request.max_tokens) for prompt in prompts)
    read = sum(sizes)
    if (asks_on := getattr(kind, "most_tokens", None)) is not None:
        asked = kind.request_type.model_validate(dict(request.request))
        count, completion = asks_on(asked, request.max_tokens)
        read = count * (max(sizes, default=0) + completion)
    if card.is_checked:
        read += count * CORRECTION_TOKENS + completion
    may_think = request.max_tokens is None and card.reasoning != "none" and any(one.messages for one in prompts)
    return MostTokens(read, completion, count * card.reasoning_max_tokens if may_think else 0)


def _bytes_of(prompt: Prompt) -> int:
    texts = [prompt.text, *(message.content for message in prompt.messages)]
    if prompt.translatable is not None:
        texts = [max(texts, key=len), prompt.translatable.text]
    if prompt.encodable is not None:
        texts = [max(*texts, f"{prompt.encodable.prefix or ''}{prompt.encodable.text}", key=len)]
    return sum(len(text.encode()) for text in texts)


def _most_completion(prompt: Prompt, own: int | None) -> int:
    """Return the most tokens of a completion; for a prompt that scores continuations, the most tokens of these."""
    if prompt.continuations:
        return sum(len(one.encode()) + 1 for one in prompt.continuations)
    return 0 if prompt.encodable is not None else own or prompt.params.max_tokens
