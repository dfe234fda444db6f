"""Shows jobs/kinds/chat.py and jobs/writing/verbatim.py, the fields that it shares with `completion`."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.generation import Completion, TokenLogprob
from jobs.kinds.chat import MAX_TOKENS, ChatRequest
from tests.support.conversations import KINDS, converse, failed

USER = {"role": "user", "content": "b"}


def test_a_prompt_is_one_turn_after_the_system_turn() -> None:
    output, [[prompt]] = converse("chat", {"prompt": "Hi?", "system": "Be kind."}, lambda _: " Hello. ")
    assert output.text == "Hello."
    assert [(m.role, m.content) for m in prompt.messages] == [("system", "Be kind."), ("user", "Hi?")]
    assert (prompt.label, prompt.params.max_tokens, prompt.template_sha256) == ("main", MAX_TOKENS, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt": "a", "system": ""},
        {"prompt": "a", "system": " \n"},
        {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "a"}], "system": ""},
    ],
)
def test_a_system_turn_without_text_is_left_out(asked: Mapping[str, Any]) -> None:
    _, [[prompt]] = converse("chat", dict(asked), lambda _: "b")
    assert [(m.role, m.content) for m in prompt.messages] == [("user", "a")]


def test_messages_are_sent_as_they_are() -> None:
    turns = [
        {"role": "user", "content": " a "},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    _, [[prompt]] = converse("chat", {"messages": turns}, lambda _: "d")
    assert [(m.role, m.content) for m in prompt.messages] == [("user", " a "), ("assistant", "b"), ("user", "c")]


def test_a_text_that_ended_at_max_tokens_is_not_an_error() -> None:
    output, _ = converse("chat", {"prompt": "Hi?"}, lambda _: ("Hello and wel", "length"))
    assert output.text == "Hello and wel"


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_answer_fails(text: str) -> None:
    assert failed("chat", {"prompt": "Hi?"}, lambda _: text).code == "empty_output"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param({}, (), id="neither messages nor prompt"),
        pytest.param({"prompt": "a", "messages": [USER]}, (), id="both"),
        pytest.param({"system": "s", "messages": [USER]}, (), id="system beside messages"),
        pytest.param({"messages": [USER, {"role": "assistant", "content": "c"}]}, (), id="not the user's turn"),
        pytest.param({"prompt": " \n"}, ("prompt",), id="blank prompt"),
        pytest.param({"messages": [{**USER, "content": " "}]}, ("messages", 0, "content"), id="blank turn"),
        pytest.param({"messages": []}, ("messages",), id="no messages"),
        pytest.param({"messages": [{"role": "tool", "content": "a"}]}, ("messages", 0, "role"), id="unknown role"),
        pytest.param({"messages": [{**USER, "name": "n"}]}, ("messages", 0, "name"), id="unknown field"),
    ],
)
def test_invalid_requests_are_refused(request_: Mapping[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as raised:
        ChatRequest.model_validate(request_)
    assert raised.value.errors()[0]["loc"] == field


def test_each_of_n_answers_is_a_choice_with_its_own_prompt() -> None:
    answers = iter(["a", "b", "c"])
    output, [prompts] = converse("chat", {"prompt": "Hi?", "n": 3, "stop": ["!"]}, lambda _: next(answers))
    assert (output.text, output.choices) == ("a", ("a", "b", "c"))
    assert [prompt.label for prompt in prompts] == ["choice 1", "choice 2", "choice 3"]
    assert {prompt.params.stop for prompt in prompts} == {("!",)}


def test_one_answer_has_no_choices() -> None:
    output, _ = converse("chat", {"prompt": "Hi?"}, lambda _: "a")
    assert output.model_dump(mode="json") == {"text": "a"}


def test_penalties_and_biases_reach_the_engine() -> None:
    asked = {"prompt": "a", "presence_penalty": 1.5, "frequency_penalty": -0.5, "logit_bias": {"17": -100}}
    _, [[prompt]] = converse("chat", asked, lambda _: "b")
    params = prompt.params
    assert (params.presence_penalty, params.frequency_penalty, params.logit_bias) == (1.5, -0.5, {17: -100.0})


def test_stop_tokens_reach_the_engine() -> None:
    for kind in ("chat", "completion"):
        _, [[prompt]] = converse(kind, {"prompt": "a", "stop_token_ids": [7, 0]}, lambda _: "b")
        assert prompt.params.stop_token_ids == (7, 0)
        assert prompt.params.as_receipt()["stop_token_ids"] == [7, 0]


def test_log_probabilities_are_asked_for_and_given_back() -> None:
    conversation = KINDS["chat"].compose(ChatRequest(prompt="a", logprobs=1))
    (prompt,) = next(conversation)
    assert prompt.params.logprobs == 1
    top = TokenLogprob(5, "b", -0.5)
    with pytest.raises(StopIteration) as ended:
        conversation.send([Completion("0", "b", "stop", logprobs=(TokenLogprob(5, "b", -0.5, (top,)),))])
    likely = {"token": "b", "logprob": -0.5}
    assert ended.value.value.model_dump(mode="json") == {"text": "b", "logprobs": [[{**likely, "top": [likely]}]]}


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("asked", "schema"),
    [
        pytest.param({"type": "text"}, None, id="text"),
        pytest.param({"type": "json_object"}, {"type": "object"}, id="any object"),
        pytest.param({"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}, SCHEMA, id="schema"),
    ],
)
def test_a_response_format_is_a_schema_for_the_engine(
    asked: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> None:
    request = ChatRequest.model_validate({"prompt": "a", "response_format": asked})
    again = ChatRequest.model_validate(request.model_dump(mode="json", exclude_unset=True))
    assert again == request
    _, [[prompt]] = converse("chat", {"prompt": "a", "response_format": asked}, lambda _: '{"a": 1}')
    assert prompt.schema == schema


def test_an_answer_that_is_not_json_fails() -> None:
    asked = {"prompt": "a", "response_format": {"type": "json_object"}}
    assert failed("chat", asked, lambda _: "Sure! {").code == "output_not_json"


@pytest.mark.parametrize("answer", ['```json\n{"a": 1}\n```', 'Here you are:\n```\n{"a": 1}\n```\nThat is all.'])
def test_json_in_a_code_fence_is_json(answer: str) -> None:
    asked = {"prompt": "a", "response_format": {"type": "json_object"}}
    output, _ = converse("chat", asked, lambda _: answer)
    assert output.text == '{"a": 1}'
    assert converse("chat", {"prompt": "a"}, lambda _: answer)[0].text == answer


@pytest.mark.parametrize("n", [1, 2])
def test_thoughts_are_published_only_if_asked_for(n: int) -> None:
    """The log probabilities of thoughts, too, are published only if the row asks for the thoughts."""
    tokens = tuple(TokenLogprob(place, text, -0.5) for place, text in enumerate(["Hm", "</think>", "b"]))
    answers = [
        Completion(str(k), "b", "stop", 1, 0, 3, logprobs=tokens, reasoning=f"Hm {k}", reasoning_tokens=2)
        for k in range(n)
    ]
    for asked, shown, thoughts in (
        (False, ["b"], None),
        (True, ["Hm", "</think>", "b"], [f"Hm {k}" for k in range(n)]),
    ):
        conversation = KINDS["chat"].compose(ChatRequest(prompt="a", n=n, logprobs=0, include_reasoning=asked))
        next(conversation)
        with pytest.raises(StopIteration) as ended:
            conversation.send(answers)
        output = ended.value.value.model_dump(mode="json")
        assert output.get("reasoning") == thoughts
        assert [[one["token"] for one in each] for each in output["logprobs"]] == [shown] * n
    conversation = KINDS["chat"].compose(ChatRequest(prompt="a", include_reasoning=True))
    next(conversation)
    with pytest.raises(StopIteration) as ended:
        conversation.send([Completion("0", "b", "stop")])
    assert ended.value.value.model_dump(mode="json") == {"text": "b"}
