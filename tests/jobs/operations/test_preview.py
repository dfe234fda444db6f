"""Shows jobs/operations/preview.py: the first prompts of a row, their tokens, and the faults of a kind."""

import pytest
from pydantic import BaseModel

from jobs.batches.request_row import RowRequest
from jobs.errors import CheckFailed
from jobs.generation import Message, Prompt
from jobs.kinds.first_prompts import first_prompts
from jobs.kinds.kind import Conversation
from jobs.kinds.registry import load_kinds
from jobs.operations.preview import estimated


def test_an_estimate_of_tokens_counts_all_turns() -> None:
    turns = (Message("system", "a" * 8), Message("user", "\N{EURO SIGN}" * 4))
    assert estimated(Prompt(messages=turns)) == 5
    assert estimated(Prompt(text="a")) == 1


class Anything(BaseModel):
    """A request without fields. It is also the type of an output that is never made."""


class Breaking:
    """A kind that raises when it is asked for its first prompt, or when its conversation is closed after that."""

    name = "breaking"
    request_type = output_type = Anything

    def __init__(self, when: str) -> None:
        self._when = when

    def compose(self, request: BaseModel) -> Conversation:
        if self._when == "asked":
            raise ZeroDivisionError("in the kind")
        try:
            yield [Prompt(text="a")]
        finally:
            raise ZeroDivisionError("in the kind")

    def expected_tokens(self, request: BaseModel) -> int:
        return 1


def test_a_kind_that_raises_is_a_fault_of_its_row() -> None:
    """An error that the kind raises when its conversation is closed is no fault of the row, whose first prompts are made."""
    row = RowRequest(0, 1, "breaking", "stub", {})
    with pytest.raises(CheckFailed, match="kind breaking: ZeroDivisionError") as raised:
        first_prompts(row, Breaking("asked"))
    assert raised.value.code == "kind_failed"
    assert first_prompts(row, Breaking("ended")) == (Prompt(text="a"),)


def test_the_prompts_have_the_arguments_of_the_chat_template() -> None:
    row = RowRequest(0, 1, "chat", "stub", {"prompt": "a"}, chat_template_kwargs={"enable_thinking": False})
    (prompt,) = first_prompts(row, load_kinds()["chat"])
    assert prompt.chat_template_kwargs == {"enable_thinking": False}
