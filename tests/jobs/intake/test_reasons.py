"""Shows jobs/intake/reasons.py: why a value is refused, in plain words."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from jobs.intake.reasons import reason_of
from jobs.intake.row_fields import Envelope
from jobs.kinds.registry import load_kinds
from jobs.writing.fields import LanguageTag, Line, Text


def refused(type_: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(type_).validate_python(value, strict=True)
    return reason_of(caught.value.errors()[0])


@pytest.mark.parametrize(
    ("type_", "value", "reason"),
    [
        (Text, " \t", "it has no text"),
        (Line, "", "it has no text"),
        (Line, "a\nb", "it must be on one line"),
        (Annotated[list[int], Field(max_length=2)], [1, 2, 3], "it must have at most 2 items"),
        (Annotated[list[int], Field(min_length=1)], [], "it must have at least 1 item"),
        (LanguageTag, "C", "it must have at least 2 characters"),
        (int, 3.5, "3.5 is not a whole number"),
        (int, 1e20, "1e+20 may stand for several integers: write it without a decimal point and an exponent"),
        (Annotated[str, StringConstraints(pattern="^own$")], "x", "String should match pattern '^own$'"),
    ],
)
def test_a_value_is_refused_in_plain_words(type_: Any, value: Any, reason: str) -> None:
    assert refused(type_, value) == reason


def test_no_message_about_a_shipped_field_shows_a_pattern() -> None:
    def patterns(schema: Any) -> Iterator[str]:
        for name, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
            if name == "pattern" and isinstance(value, str):
                yield value
            elif name == "patternProperties":
                yield from value
            if isinstance(value, dict | list):
                yield from patterns(value)

    kinds = load_kinds(None).values()
    models: list[type[BaseModel]] = [Envelope, *(kind.request_type for kind in kinds)]
    found = {pattern for model in models for pattern in patterns(model.model_json_schema())}
    assert len(found) > 3
    for pattern in found:
        for value in ("", "a b\nc"):
            try:
                reason = refused(Annotated[str, StringConstraints(pattern=pattern)], value)
            except pytest.fail.Exception:
                continue
            assert "pattern" not in reason, pattern
