"""Holds conversations with kinds by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds import Kind
from jobs.kinds.registry import load_kinds

Answer = Callable[[Prompt], str | tuple[str, str]]
"""What an engine says to a prompt: a text, or a text and its finish reason."""


def converse(kind: Kind, request: Mapping[str, Any], answer: Answer) -> tuple[Any, list[list[Prompt]]]:
    """The output, and the prompts of each turn."""
    conversation = kind.compose(kind.request_type.model_validate(request))
    turns: list[list[Prompt]] = []
    completions: Sequence[Completion] | None = None
    while True:
        try:
            prompts = next(conversation) if completions is None else conversation.send(completions)
        except StopIteration as stop:
            output = stop.value
            break
        turns.append(list(prompts))
        said = [answer(prompt) for prompt in prompts]
        pairs = [(one, "stop") if isinstance(one, str) else one for one in said]
        completions = [Completion(str(n), text, reason) for n, (text, reason) in enumerate(pairs)]  # type: ignore[arg-type]
    assert type(output) is kind.output_type
    return output, turns


@pytest.fixture(scope="session")
def kinds() -> Mapping[str, Kind]:
    return load_kinds()


@pytest.fixture(scope="session", name="converse")
def converse_with(kinds: Mapping[str, Kind]) -> Callable[..., tuple[Any, list[list[Prompt]]]]:
    """`converse(kind, request, answer)`, where the kind is a name or a Kind."""

    def held(kind: str | Kind, request: Mapping[str, Any], answer: Answer) -> tuple[Any, list[list[Prompt]]]:
        return converse(kinds[kind] if isinstance(kind, str) else kind, request, answer)

    return held


@pytest.fixture(scope="session")
def failed(kinds: Mapping[str, Kind]) -> Callable[[str, Mapping[str, Any], Answer], CheckFailed]:
    """`failed(kind, request, answer)`: how the conversation ended, which has to be with a check."""

    def held(kind: str, request: Mapping[str, Any], answer: Answer) -> CheckFailed:
        with pytest.raises(CheckFailed) as raised:
            converse(kinds[kind], request, answer)
        assert not raised.value.retryable
        return raised.value

    return held
