"""Shows jobs/template_kwargs.py: the arguments that rows and models may give to a chat template."""

import inspect
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from jobs.catalog import ModelCard
from jobs.template_kwargs import MAX_CHARACTERS, MAX_KWARGS, MAX_NUMBER, RESERVED, TemplateKwargs

KWARGS: TypeAdapter[dict[str, Any]] = TypeAdapter(TemplateKwargs)


def test_scalars_pass_and_null_is_absent() -> None:
    given = {"enable_thinking": False, "reasoning_effort": "low", "budget": 5, "scale": 0.5, "empty": "", "gone": None}
    wanted = {name: value for name, value in given.items() if name != "gone"}
    assert KWARGS.validate_python(given, strict=True) == wanted
    assert ModelCard(chat_template_kwargs=given).chat_template_kwargs == wanted


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"enable_thinking": [True]}, "wrong_type"),
        ({"enable_thinking": {"a": 1}}, "wrong_type"),
        ({"messages": "x"}, "out_of_range"),
        ({"add_generation_prompt": False}, "out_of_range"),
        ({"eos_token": ""}, "out_of_range"),
        ({"additional_special_tokens": ""}, "out_of_range"),
        ({"": 1}, "out_of_range"),
        ({"enable thinking": True}, "out_of_range"),
        ({"enable-thinking": True}, "out_of_range"),
        ({"a.b": True}, "out_of_range"),
        ({"x" * 65: True}, "out_of_range"),
        ({"\u0435nable": True}, "out_of_range"),
        ({"a": "x" * (MAX_CHARACTERS + 1)}, "out_of_range"),
        ({"a": MAX_NUMBER + 1}, "out_of_range"),
        ({"a": float("inf")}, "out_of_range"),
        ({"a": float("nan")}, "out_of_range"),
        ({f"a{n}": n for n in range(MAX_KWARGS + 1)}, "too_long"),
        ([], "dict_type"),
        ("enable_thinking", "dict_type"),
        ({"a": b"x"}, "wrong_type"),
    ],
)
def test_other_arguments_are_refused(given: Any, kind: str) -> None:
    with pytest.raises(ValidationError) as refused:
        KWARGS.validate_python(given, strict=True)
    assert [one["type"] for one in refused.value.errors()] == [kind]


def test_no_argument_replaces_one_of_the_engine() -> None:
    """An argument is refused if transformers takes or gives a value of its name itself, or if it is the name of a special
    token.
    """
    transformers = pytest.importorskip("transformers", reason="the extra `workers` is not installed")
    chat = pytest.importorskip("transformers.utils.chat_template_utils")
    ours = set(inspect.signature(transformers.PreTrainedTokenizerBase.apply_chat_template).parameters)
    theirs = set(inspect.signature(chat.render_jinja_template).parameters)
    assert (ours | theirs) - {"kwargs"} <= RESERVED
    for name in transformers.PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES:
        with pytest.raises(ValidationError, match="the engine itself"):
            KWARGS.validate_python({name: "x"})


def test_the_field_is_an_object_in_the_schema() -> None:
    class Row(BaseModel):
        kwargs: TemplateKwargs | None = None

    assert {"type": "object", "maxProperties": MAX_KWARGS, "additionalProperties": True} in Row.model_json_schema()[
        "properties"
    ]["kwargs"]["anyOf"]
