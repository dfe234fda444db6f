"""Holds conversations with kinds by hand: a test gives the answers that an engine would give."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from jobs.checks.checker import UNCHECKED, Checker
from jobs.errors import CheckFailed
from jobs.findings import CheckSettings
from jobs.generation import Completion, Prompt
from jobs.kinds.kind import Kind, begin, contract_of, with_defaults
from jobs.kinds.registry import load_kinds

KINDS = load_kinds()

Answer = Callable[[Prompt], str | tuple[str, ...]]
"""Gives the completion of a prompt: a text, or a text, its finish reason, and any alternatives to it."""


def checker_of(kind: str, request: Mapping[str, Any], *settings: CheckSettings, again: int = 2) -> Checker:
    """Return the checker of a row, as a worker makes it."""
    values = with_defaults(KINDS[kind], request)
    return Checker.over(kind, values, contract_of(KINDS[kind]), settings, again)


def converse(
    kind: str | Kind, request: Mapping[str, Any], answer: Answer, checker: Checker = UNCHECKED
) -> tuple[Any, list[list[Prompt]]]:
    """Hold a conversation with a kind, which is given by its name or as a Kind. Returns its output, and the prompts of each
    turn.
    """
    kind = KINDS[kind] if isinstance(kind, str) else kind
    conversation = begin(kind, kind.request_type.model_validate(request), checker)
    turns: list[list[Prompt]] = []
    completions: Sequence[Completion] | None = None
    while True:
        try:
            prompts = next(conversation) if completions is None else conversation.send(completions)
        except StopIteration as stop:
            output = stop.value
            break
        turns.append(list(prompts))
        answers = [answer(prompt) for prompt in prompts]
        whole = [(one, "stop") if isinstance(one, str) else one for one in answers]
        completions = [
            Completion(str(n), text, reason, alternatives=tuple(others))  # type: ignore[arg-type]
            for n, (text, reason, *others) in enumerate(whole)
        ]
    assert type(output) is kind.output_type
    return output, turns


def failed(kind: str | Kind, request: Mapping[str, Any], answer: Answer) -> CheckFailed:
    """The failed check that ends the conversation; any other end fails the test."""
    with pytest.raises(CheckFailed) as raised:
        converse(kind, request, answer)
    assert not raised.value.retryable
    return raised.value
