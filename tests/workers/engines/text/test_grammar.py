"""Shows workers/engines/text/grammar.py: a grammar forces what it can of a schema, and says what it cannot."""

from typing import Any

import pytest

pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from tests.jobs.writing.structured.features import KEPT, Kept
from tests.workers.engines.reasoners import tokenizer_of
from workers.engines.text.grammar import Grammar, Grammars


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    """The grammars of a model whose tokens are bytes."""
    tokenizer = tokenizer_of("none")
    return Grammars(tokenizer, len(tokenizer), (tokenizer.eos_token_id,))


def takes(grammars: Grammars, grammar: Grammar, text: str) -> bool:
    """Whether a grammar lets a text be written to its end."""
    matcher = grammar.matcher()
    assert matcher is not None
    tokens = grammars.tokens(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


@pytest.mark.parametrize("feature", KEPT.values(), ids=KEPT)
def test_a_feature_is_forced_or_named_as_not_forced(grammars: Grammars, feature: Kept) -> None:
    """A text that keeps the schema may always be written. One that breaks it may be written only if the grammar says that it
    does not force all of the schema, or if only the calendar knows better.
    """
    grammar = grammars.of(feature.schema)
    assert takes(grammars, grammar, feature.good), grammar
    by_calendar = feature is KEPT["format date, by the calendar"]
    assert grammar.constraint == ("full" if feature.forced or by_calendar else "partial")
    assert takes(grammars, grammar, feature.bad) == (not feature.forced)


def test_spaces_between_the_parts_of_a_text_have_a_limit(grammars: Grammars) -> None:
    grammar = grammars.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    for text, may in (
        ('{"a":1}', True),
        ('{ "a": 1 }', True),
        ('{\n    "a": 1\n}', True),
        ('{  "a": 1}', False),
        ('{\n\n"a": 1}', False),
        (' {"a": 1}', False),
    ):
        assert takes(grammars, grammar, text) is may, text


def test_a_row_cannot_set_options_of_the_library(grammars: Grammars) -> None:
    schema = {"type": "integer", "x-guidance": {"whitespace_pattern": "x", "lenient": True}}
    assert grammars.of(schema).constraint == "full"
    assert not takes(grammars, grammars.of({**schema, "type": "object"}), "{x}")


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "integer", "minimum": 5, "maximum": 1}, id="no value"),
        pytest.param({"$ref": "#"}, id="to itself"),
    ],
)
def test_a_schema_that_no_text_satisfies_forces_nothing(grammars: Grammars, schema: Any) -> None:
    grammar = grammars.of(schema)
    assert (grammar.constraint, grammar.matcher()) == ("none", None)
    assert grammar.reason


def test_a_tokenizer_that_cannot_be_read_forces_nothing() -> None:
    grammars = Grammars(object(), 10, (1,))
    assert grammars.of({"type": "object"}).constraint == "none"
    assert "the tokenizer cannot be read" in grammars.of({"type": "object"}).reason
    assert grammars.tokens("{") == []


def test_a_special_token_is_no_part_of_a_text(grammars: Grammars) -> None:
    matcher = grammars.of({"type": "string"}).matcher()
    assert matcher is not None
    assert matcher.consume_tokens(grammars.tokens('"a'))
    special = tokenizer_of("none").convert_tokens_to_ids("<|im_end|>")
    assert matcher.try_consume_tokens([special]) == 0


def test_a_matcher_is_one_texts_own(grammars: Grammars) -> None:
    grammar = grammars.of({"type": "integer"})
    one, other = grammar.matcher(), grammar.matcher()
    assert one is not None
    assert other is not None
    assert one.consume_tokens(grammars.tokens("12"))
    assert not other.is_accepting()
    assert grammars.of({"type": "integer"}) is grammar


@pytest.mark.parametrize(
    ("schema", "constraint"),
    [
        pytest.param({"multipleOf": 9_973}, "full", id="large"),
        pytest.param({"multipleOf": 999_983}, "partial", id="too large"),
        pytest.param({"multipleOf": 1e-7}, "partial", id="too small"),
        pytest.param({"allOf": [{"multipleOf": 997}, {"multipleOf": 991}]}, "partial", id="too many together"),
        pytest.param({"properties": {"a": {"multipleOf": 0.25}, "multipleOf": {"multipleOf": 5}}}, "full", id="small"),
    ],
)
def test_multiples_of_large_numbers_are_left_to_the_validation(
    grammars: Grammars, schema: Any, constraint: str
) -> None:
    """The library would take minutes for their grammars."""
    assert grammars.of({"type": "object" if "properties" in schema else "number", **schema}).constraint == constraint
