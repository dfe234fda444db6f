"""Shows jobs/generation.py: the values that pass between kinds and engines."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.generation import Completion, GenerationRequest, Message, Prompt, SamplingParams


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"max_tokens": 0}, id="max_tokens"),
        pytest.param({"min_tokens": -1}, id="min_tokens"),
        pytest.param({"min_tokens": 11, "max_tokens": 10}, id="min_tokens over max_tokens"),
        pytest.param({"temperature": -0.1}, id="temperature below"),
        pytest.param({"temperature": 2.1}, id="temperature above"),
        pytest.param({"temperature": float("nan")}, id="temperature not a number"),
        pytest.param({"top_p": 0.0}, id="top_p of nothing"),
        pytest.param({"top_p": 1.1}, id="top_p above"),
        pytest.param({"top_k": -1}, id="top_k"),
        pytest.param({"min_p": 1.1}, id="min_p"),
        pytest.param({"repetition_penalty": 0.0}, id="repetition_penalty"),
        pytest.param({"logprobs": -1}, id="logprobs below"),
        pytest.param({"logprobs": 21}, id="logprobs above"),
    ],
)
def test_params_out_of_range_are_named(params: dict[str, Any]) -> None:
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"^out of range: {name}$"):
        SamplingParams(**params)


def test_the_error_names_each_param_that_is_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"^out of range: max_tokens, top_p$"):
        SamplingParams(max_tokens=0, top_p=2.0)


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"max_tokens": 1, "min_tokens": 1}, id="one token"),
        pytest.param({"temperature": 0.0}, id="greedy"),
        pytest.param({"temperature": 2.0, "top_p": 1.0, "min_p": 1.0}, id="the most"),
    ],
)
def test_params_at_their_limits(params: dict[str, Any]) -> None:
    assert dataclasses.asdict(SamplingParams(**params)).items() >= params.items()


def test_params_of_the_row_replace_those_of_its_kind() -> None:
    params = SamplingParams(max_tokens=50, temperature=0.7, stop=("\n",))
    asked = {"max_tokens": 9, "temperature": 0.0, "top_p": None, "seed": None}
    assert params.overridden(asked) == SamplingParams(max_tokens=9, temperature=0.0, stop=("\n",))
    assert params.overridden({}) == params


def test_overrides_are_checked_again() -> None:
    with pytest.raises(ValueError, match="min_tokens"):
        SamplingParams(max_tokens=50, min_tokens=20).overridden({"max_tokens": 10})
    with pytest.raises(TypeError, match="top_kk"):
        SamplingParams().overridden({"top_kk": 1})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "max_tokens": st.none() | st.integers(1, 99),
            "temperature": st.none() | st.floats(0, 2),
            "top_p": st.none() | st.floats(0.01, 1),
            "seed": st.none() | st.integers(0, 2**63 - 1),
        },
    )
)
def test_an_override_changes_what_it_names_and_nothing_else(overrides: dict[str, Any]) -> None:
    before = SamplingParams(max_tokens=7, temperature=0.5, top_p=0.5, top_k=3, seed=1)
    after = before.overridden(overrides)
    for field in dataclasses.fields(SamplingParams):
        asked = overrides.get(field.name)
        assert getattr(after, field.name) == (getattr(before, field.name) if asked is None else asked)


def test_a_prompt_has_messages_or_text() -> None:
    with pytest.raises(ValueError, match="messages or text, not both"):
        Prompt(messages=(Message("user", "Hi"),), text="Hi")
    assert Prompt(text="Hi").messages == ()
    assert Prompt() == Prompt(text="")  # an engine answers an empty prompt with a fault


@pytest.mark.parametrize(
    ("value", "field"),
    [
        pytest.param(Message("user", "Hi"), "content", id="message"),
        pytest.param(SamplingParams(), "seed", id="params"),
        pytest.param(Prompt(text="Hi"), "label", id="prompt"),
        pytest.param(GenerationRequest("r", Prompt(text="Hi")), "request_id", id="request"),
        pytest.param(Completion("r", "Hi", "stop"), "text", id="completion"),
    ],
)
def test_every_value_is_frozen(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")


def test_a_receipt_keeps_the_params_that_differ_from_the_defaults_without_the_seed() -> None:
    assert SamplingParams(seed=3).as_receipt() == {}
    params = SamplingParams(max_tokens=7, logit_bias={5: 1.0}, stop=("a",), temperature=0.0, seed=3)
    assert params.as_receipt() == {"max_tokens": 7, "logit_bias": {"5": 1.0}, "stop": ["a"], "temperature": 0.0}
