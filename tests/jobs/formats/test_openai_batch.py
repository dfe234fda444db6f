"""Shows jobs/formats/openai_batch.py, openai_parameters.py and openai_turns.py: files of services, and their parameters.

The files under `batch_files/` have the shape of the examples of vLLM, OpenAI, Azure and Zhipu, in our own words.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.intake.row_faults import RowFault

FILES = Path(__file__).parent / "batch_files"
UNSUPPORTED = "unsupported_parameter"
TURNS = [{"role": "user", "content": "a"}]


def taken(take: Callable[..., Any], body: dict[str, Any], url: str = "/v1/chat/completions") -> Any:
    return take(json.dumps({"custom_id": "a", "url": url, "body": body}).encode(), model="stub", override_model=True)


@pytest.mark.parametrize(
    ("name", "rows", "faults"),
    [
        pytest.param(
            "vllm",
            8,
            [
                (3, UNSUPPORTED, "body.top_k"),
                (6, "unknown_url", "url"),
                (8, UNSUPPORTED, "body.structured_outputs"),
            ],
            id="vllm",
        ),
        pytest.param(
            "openai",
            13,
            [
                (6, UNSUPPORTED, "body.input.0.content.1"),
                (7, UNSUPPORTED, "body.previous_response_id"),
                (8, UNSUPPORTED, "body.tools"),
                (9, UNSUPPORTED, "body.modalities"),
                (10, UNSUPPORTED, "body.messages.1.tool_calls"),
                (11, UNSUPPORTED, "body.stream"),
                (12, UNSUPPORTED, "body.input.0"),
                (13, UNSUPPORTED, "body.tool_choice"),
            ],
            id="openai",
        ),
        pytest.param("azure", 6, [(6, UNSUPPORTED, "body.data_sources")], id="azure"),
        pytest.param(
            "zhipu",
            5,
            [
                (3, UNSUPPORTED, "body.do_sample"),
                (5, UNSUPPORTED, "body.messages.0.content.1"),
            ],
            id="zhipu",
        ),
    ],
)
def test_the_examples_of_services_run_as_they_stand(
    take: Callable[..., Any], name: str, rows: int, faults: list[tuple[int, str, str]]
) -> None:
    found = take((FILES / f"{name}.jsonl").read_bytes(), model="stub", override_model=True)
    assert (found.accepted.batch.rows, found.accepted.batch.refused) == (rows, len(faults))
    assert found.faults == faults
    assert {row.model for row in found.rows} == {"stub"}
    assert {fault.custom_id for fault in found.accepted.faults}.isdisjoint({row.custom_id for row in found.rows})


def test_the_turns_of_the_examples(take: Callable[..., Any]) -> None:
    chat = take((FILES / "openai.jsonl").read_bytes(), model="stub", override_model=True)
    gardener = {"role": "system", "content": "You are a gardener."}
    asked = {"role": "user", "content": "One herb?"}
    assert chat.requests[1]["messages"] == [
        gardener,
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello."},
        asked,
    ]
    assert chat.rows[1].metadata == {"user": "u-1", "night": "1"}
    assert (chat.requests[2]["messages"], chat.rows[2].max_tokens) == ([gardener, asked], 50)
    answer, more = {"role": "assistant", "content": "Thyme."}, {"role": "user", "content": "Another?"}
    assert chat.requests[3]["messages"] == [gardener, asked, answer, more]
    azure = take((FILES / "azure.jsonl").read_bytes(), model="stub", override_model=True)
    assert azure.requests[1]["messages"] == [{"role": "user", "content": "When is spring?"}]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "/v1/chat/completions",
            "/chat/completions",
            "chat/completions",
            "/v4/chat/completions/",
            "/v1/chat/completions?a=b",
        ),
        *(
            "https://example.org/v1/chat/completions",
            "/openai/deployments/x/chat/completions",
            "/api/paas/v4/chat/completions",
        ),
    ],
)
def test_a_url_that_ends_in_a_chat(take: Callable[..., Any], url: str) -> None:
    assert [row.kind for row in taken(take, {"messages": TURNS}, url).rows] == ["chat"]
    assert [row.kind for row in taken(take, {"prompt": "a"}, url.replace("chat/", "")).rows] == ["completion"]
    assert [row.kind for row in taken(take, {"input": "a"}, url.replace("chat/completions", "responses")).rows] == [
        "chat"
    ]


@pytest.mark.parametrize(
    "url", ["/v1/rerank", "/v1/xcompletions", "/v1/chat/completions/x", "", "/", "/v1/?a=/completions"]
)
def test_another_url_is_refused(take: Callable[..., Any], url: str) -> None:
    assert taken(take, {"messages": TURNS}, url).faults == [(1, "unknown_url", "url")]


@pytest.mark.parametrize(
    "parameter",
    [
        *(
            {"reasoning_effort": "high"},
            {"annotations": None},
            {"tool_choice": "none"},
            {"tool_choice": "auto"},
            {"tools": []},
        ),
        *(
            {"functions": []},
            {"stop": ""},
            {"function_call": "auto"},
            {"prompt_cache_key": "a"},
            {"prompt_cache_retention": "24h"},
        ),
        *(
            {"safety_identifier": "a"},
            {"stream_options": {"include_usage": True}},
            {"store": False},
            {"service_tier": "priority"},
        ),
        *({"user": "a"}, {"metadata": {"a": "b"}}, {"parallel_tool_calls": False}, {"modalities": ["text"]}),
        *(
            {"max_completion_tokens": 5},
            {"max_completion_tokens": 5, "max_tokens": 5.0},
            {"prediction": {"type": "content"}},
        ),
        *(
            {"verbosity": "medium"},
            {"extra_body": {}},
            {"top_k": 0},
            {"repetition_penalty": 1.0},
            {"add_generation_prompt": True},
        ),
    ],
)
def test_a_parameter_that_changes_nothing_is_passed_over(take: Callable[..., Any], parameter: dict[str, Any]) -> None:
    found = taken(take, {"messages": TURNS, **parameter})
    assert (found.faults, found.requests) == ([], [{"messages": TURNS}])


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        *(({name: value}, name) for name, value in [("tools", [{}]), ("functions", [{}]), ("tool_choice", "required")]),
        *(
            ({name: value}, name)
            for name, value in [("audio", {"voice": "a"}), ("modalities", ["audio"]), ("stream", True)]
        ),
        *(({name: value}, name) for name, value in [("web_search_options", {}), ("verbosity", "low"), ("best_of", 2)]),
        *(
            ({name: value}, name)
            for name, value in [("top_k", 5), ("best_of", True), ("ignore_eos", 0), ("guided_json", {})]
        ),
        *(({name: value}, name) for name, value in [("extra_body", {"top_k": 5}), ("thinking", {"type": "sometimes"})]),
        ({"thinking": {"type": "enabled", "budget_tokens": 99}}, "thinking"),
        ({"n": 2, "stream": True}, "stream"),
    ],
)
def test_a_parameter_that_would_change_the_answer_is_refused_by_name(
    take: Callable[..., Any], parameter: dict[str, Any], field: str
) -> None:
    found = taken(take, {"messages": TURNS, **parameter})
    assert found.faults == [(1, UNSUPPORTED, f"body.{field}")]
    (fault,) = found.accepted.faults
    assert isinstance(fault, RowFault)
    assert field in fault.message or field == "stream"


def test_two_limits_that_differ_are_refused(take: Callable[..., Any]) -> None:
    found = taken(take, {"messages": TURNS, "max_tokens": 5, "max_completion_tokens": 6})
    assert found.faults == [(1, "out_of_range", "body.max_tokens")]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "body.input"),
        ({"input": 5}, "wrong_type", "body.input"),
        ({"input": " "}, "out_of_range", "body.input"),
        ({"input": []}, "out_of_range", "body.input"),
        ({"input": "a", "instructions": 5}, "wrong_type", "body.instructions"),
        ({"input": "a", "instructions": "a" * 500_001}, "out_of_range", "body.instructions"),
        ({"input": [{"role": "user"}], "instructions": "b"}, "missing_field", "body.input.0.content"),
        (
            {"input": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]},
            "out_of_range",
            "body.input.1.content",
        ),
        ({"input": [5]}, "wrong_type", "body.input.0"),
        ({"input": [{"type": "reasoning"}]}, UNSUPPORTED, "body.input.0"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, UNSUPPORTED, "body.input.0"),
        ({"input": "a", "text": 5}, "wrong_type", "body.text"),
        ({"input": "a", "text": {"format": {"type": "xml"}}}, "out_of_range", "body.text.format.type"),
        ({"input": "a", "text": {"format": {"type": "json_schema"}}}, "missing_field", "body.text.format.schema"),
        ({"input": "a", "text": {"verbosity": "low"}}, UNSUPPORTED, "body.text.verbosity"),
        ({"input": "a", "conversation": "c"}, UNSUPPORTED, "body.conversation"),
        ({"input": "a", "top_logprobs": 2}, UNSUPPORTED, "body.top_logprobs"),
        ({"input": "a", "max_output_tokens": 0}, "out_of_range", "body.max_output_tokens"),
    ],
)
def test_a_fault_of_a_response_names_its_place_in_the_file(
    take: Callable[..., Any], body: dict[str, Any], code: str, field: str
) -> None:
    assert taken(take, body, "/v1/responses").faults == [(1, code, field)]


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        ({"role": "assistant", "content": None, "refusal": "No."}, "refusal"),
        ({"role": "assistant", "content": "a", "audio": {"id": "a"}}, "audio"),
        ({"role": "assistant", "content": "a", "function_call": {"name": "a"}}, "function_call"),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_audio"}]}, "content.1"),
        ({"role": "user", "content": [{"type": "file"}]}, "content.0"),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, "content.0"),
    ],
)
def test_a_turn_that_is_more_than_text_is_refused_by_name(
    take: Callable[..., Any], turn: dict[str, Any], field: str
) -> None:
    found = taken(take, {"messages": [{"role": "system", "content": " "}, turn, *TURNS]})
    assert found.faults == [(1, UNSUPPORTED, f"body.messages.1.{field}")]


def test_an_empty_system_turn_is_left_out_and_the_places_of_faults_stay(take: Callable[..., Any]) -> None:
    empty = {"role": "system", "content": ""}
    assert taken(take, {"messages": [empty, *TURNS]}).requests == [{"messages": TURNS}]
    found = taken(take, {"messages": [empty, {"role": "user", "content": ""}]})
    assert found.faults == [(1, "out_of_range", "body.messages.1.content")]


OFF = {"enable_thinking": False}


@pytest.mark.parametrize(
    ("parameter", "kwargs"),
    [
        ({}, None),
        ({"chat_template_kwargs": {}}, None),
        ({"chat_template_kwargs": None}, None),
        ({"chat_template_kwargs": OFF}, OFF),
        ({"chat_template_kwargs": {**OFF, "thinking": True}}, {**OFF, "thinking": True}),
        ({"chat_template_kwargs": {"enable_thinking": None}}, None),
        ({"enable_thinking": False}, OFF),
        ({"thinking": {"type": "disabled"}}, OFF),
        ({"thinking": {"type": "enabled"}}, {"enable_thinking": True}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, None),
        ({"reasoning_effort": "low", "chat_template_kwargs": OFF}, {"reasoning_effort": "low", **OFF}),
        (
            {"reasoning_effort": "low", "chat_template_kwargs": {"reasoning_effort": "low"}},
            {"reasoning_effort": "low"},
        ),
    ],
)
def test_parameters_of_reasoning_are_given_to_the_template(
    take: Callable[..., Any], parameter: dict[str, Any], kwargs: dict[str, Any] | None
) -> None:
    for url, name in (("/v1/chat/completions", "messages"), ("/v1/responses", "input")):
        found = taken(take, {name: TURNS, **parameter}, url)
        assert found.faults == []
        assert [row.chat_template_kwargs for row in found.rows] == [kwargs]


@pytest.mark.parametrize(
    ("parameter", "code", "field"),
    [
        ({"chat_template_kwargs": []}, "wrong_type", "chat_template_kwargs"),
        ({"chat_template_kwargs": "x"}, "wrong_type", "chat_template_kwargs"),
        ({"chat_template_kwargs": {"a": []}}, "wrong_type", "chat_template_kwargs"),
        ({"chat_template_kwargs": {"tools": True}}, "out_of_range", "chat_template_kwargs"),
        ({"reasoning_effort": 5}, "wrong_type", "reasoning_effort"),
        ({"reasoning": {"effort": 5}}, "wrong_type", "reasoning"),
        ({"enable_thinking": "no"}, "wrong_type", "enable_thinking"),
        (
            {"reasoning_effort": "low", "chat_template_kwargs": {"reasoning_effort": "high"}},
            "out_of_range",
            "reasoning_effort",
        ),
        ({"enable_thinking": True, "chat_template_kwargs": OFF}, "out_of_range", "enable_thinking"),
        ({"include_reasoning": "yes"}, "wrong_type", "include_reasoning"),
    ],
)
def test_wrong_parameters_of_reasoning_are_refused(
    take: Callable[..., Any], parameter: dict[str, Any], code: str, field: str
) -> None:
    assert taken(take, {"messages": TURNS, **parameter}).faults == [(1, code, f"body.{field}")]


def test_thoughts_are_published_if_the_body_asks(take: Callable[..., Any]) -> None:
    (request,) = taken(take, {"messages": TURNS, "include_reasoning": True}).requests
    assert request["include_reasoning"] is True


def test_a_raw_text_takes_no_arguments_of_a_template(take: Callable[..., Any]) -> None:
    url = "/v1/completions"
    found = taken(take, {"prompt": "a", "reasoning_effort": "low", "include_reasoning": True}, url)
    assert (found.faults, [row.chat_template_kwargs for row in found.rows]) == ([], [None])
    refused = taken(take, {"prompt": "a", "chat_template_kwargs": OFF}, url)
    assert refused.faults == [(1, UNSUPPORTED, "body.chat_template_kwargs")]


def test_the_thoughts_of_an_earlier_answer_are_passed_over(take: Callable[..., Any]) -> None:
    """Files that were made of vLLM's answers have such thoughts."""
    turns = [*TURNS, {"role": "assistant", "content": "b", "reasoning": "Hm.", "reasoning_content": "Hm."}, *TURNS]
    (request,) = taken(take, {"messages": turns}).requests
    assert request["messages"][1] == {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("body", "request_", "metadata"),
    [
        pytest.param({"input": "Tea"}, {"text": "Tea"}, None, id="a text"),
        pytest.param({"input": ["Tea", "Milk"]}, {"texts": ["Tea", "Milk"]}, None, id="several"),
        pytest.param(
            {"input": "Tea", "dimensions": 256, "encoding_format": "base64", "user": "u-1"},
            {"text": "Tea", "dimensions": 256, "encoding": "base64"},
            {"user": "u-1"},
            id="all parameters",
        ),
        pytest.param({"input": "Tea", "encoding_format": None}, {"text": "Tea"}, None, id="null"),
    ],
)
def test_an_embedding(
    take: Callable[..., Any], body: dict[str, Any], request_: dict[str, Any], metadata: dict[str, str] | None
) -> None:
    found = taken(take, body, "/v1/embeddings")
    assert found.faults == []
    assert [(row.kind, row.request, row.metadata or None) for row in found.rows] == [("embedding", request_, metadata)]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param({}, ("missing_field", "body.input"), id="no input"),
        pytest.param({"input": [1, 2]}, (UNSUPPORTED, "body.input"), id="tokens"),
        pytest.param({"input": [[1, 2], [3]]}, (UNSUPPORTED, "body.input"), id="lists of tokens"),
        pytest.param({"input": {"a": 1}}, ("wrong_type", "body.input"), id="an object"),
        pytest.param(
            {"input": "a", "encoding_format": "int8"}, ("out_of_range", "body.encoding_format"), id="encoding"
        ),
        pytest.param({"input": "a", "temperature": 1}, (UNSUPPORTED, "body.temperature"), id="sampling"),
        pytest.param({"input": "a", "dimensions": 0}, ("out_of_range", "body.dimensions"), id="dimensions"),
    ],
)
def test_an_embedding_that_is_refused(take: Callable[..., Any], body: dict[str, Any], fault: tuple[str, str]) -> None:
    assert taken(take, body, "/v1/embeddings").faults == [(1, *fault)]
