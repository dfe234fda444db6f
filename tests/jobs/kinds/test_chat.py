"""Shows jobs/kinds/chat.py."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.kinds.chat import MAX_TOKENS, ChatRequest

USER = {"role": "user", "content": "b"}


def test_a_prompt_is_one_turn_after_the_system_turn(converse: Callable[..., Any]) -> None:
    output, [[prompt]] = converse("chat", {"prompt": "Hi?", "system": "Be kind."}, lambda _: " Hello. ")
    assert output.text == "Hello."
    assert [(m.role, m.content) for m in prompt.messages] == [("system", "Be kind."), ("user", "Hi?")]
    assert (prompt.label, prompt.params.max_tokens, prompt.template_sha256) == ("main", MAX_TOKENS, None)


def test_messages_are_sent_as_they_are(converse: Callable[..., Any]) -> None:
    turns = [
        {"role": "user", "content": " a "},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    _, [[prompt]] = converse("chat", {"messages": turns}, lambda _: "d")
    assert [(m.role, m.content) for m in prompt.messages] == [("user", " a "), ("assistant", "b"), ("user", "c")]


def test_a_text_that_ended_at_max_tokens_is_what_was_asked_for(converse: Callable[..., Any]) -> None:
    output, _ = converse("chat", {"prompt": "Hi?"}, lambda _: ("Hello and wel", "length"))
    assert output.text == "Hello and wel"


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_answer_fails(failed: Callable[..., CheckFailed], text: str) -> None:
    assert failed("chat", {"prompt": "Hi?"}, lambda _: text).code == "empty_output"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param({}, (), id="neither messages nor prompt"),
        pytest.param({"prompt": "a", "messages": [USER]}, (), id="both"),
        pytest.param({"system": "s", "messages": [USER]}, (), id="system beside messages"),
        pytest.param({"messages": [USER, {"role": "assistant", "content": "c"}]}, (), id="not the user's turn"),
        pytest.param({"prompt": " \n"}, ("prompt",), id="blank prompt"),
        pytest.param({"prompt": "a", "system": ""}, ("system",), id="blank system"),
        pytest.param({"messages": []}, ("messages",), id="no messages"),
        pytest.param({"messages": [{"role": "tool", "content": "a"}]}, ("messages", 0, "role"), id="unknown role"),
        pytest.param({"messages": [{**USER, "name": "n"}]}, ("messages", 0, "name"), id="unknown field"),
    ],
)
def test_what_cannot_be_asked(request_: Mapping[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as raised:
        ChatRequest.model_validate(request_)
    assert raised.value.errors()[0]["loc"] == field
