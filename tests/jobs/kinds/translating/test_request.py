"""Shows jobs/kinds/translating/request.py: marks of a row are taken in their order, and wrong ones are refused by field."""

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.kinds.translating.request import TranslationRequest
from jobs.marks.mark import Mark, Role

ROW = {"text": "Hi {name}, %s", "source_language": "en", "target_language": "de"}


def test_marks_come_in_the_order_of_the_text() -> None:
    given = [{"start": 11, "end": 13, "role": "ordered"}, {"start": 3, "end": 9}]
    request = TranslationRequest.model_validate({**ROW, "marks": given})
    assert request.given_marks == (Mark(3, 9, "{name}"), Mark(11, 13, "%s", Role.ORDERED))


def test_no_marks_and_absent_marks_differ() -> None:
    assert TranslationRequest.model_validate({**ROW, "marks": []}).given_marks == ()
    assert TranslationRequest.model_validate(ROW).given_marks is None


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        pytest.param(
            {"marks": [{"start": 3, "end": 14}]}, "marks", "mark 0 ends at 14, and the text has 13", id="beyond"
        ),
        pytest.param({"marks": [{"start": 3, "end": 3}]}, "marks", "mark 0 is empty", id="empty"),
        pytest.param({"marks": [{"start": 5, "end": 3}]}, "marks", "mark 0 is empty", id="backwards"),
        pytest.param(
            {"marks": [{"start": 4, "end": 9}, {"start": 3, "end": 5}]},
            "marks",
            "mark 0 begins at 4, within mark 1",
            id="over",
        ),
        pytest.param({"marks": [{"start": -1, "end": 5}]}, "marks.0.start", "greater than or equal", id="negative"),
        pytest.param({"marks": [{"start": 1, "end": 5, "role": "tag"}]}, "marks.0.role", "'alone'", id="role"),
        pytest.param({"marks": [{"start": 1}]}, "marks.0.end", "required", id="no end"),
        pytest.param({"marks": {"start": 1, "end": 2}}, "marks", "tuple", id="no list"),
        pytest.param({"max_length": 0}, "max_length", "greater", id="length"),
        pytest.param({"context": "a" * 4_001}, "context", "4000", id="context"),
        pytest.param({"signs": "emoji"}, "signs", "letters", id="signs"),
    ],
)
def test_a_wrong_field_is_refused(changed: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TranslationRequest.model_validate({**ROW, **changed})
    [error] = raised.value.errors()
    assert ".".join(map(str, error["loc"])) == field
    assert reason in error["msg"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(
            {"glossary": {"account": "Konto"}, "forbidden_terms": ["konto"]},
            "'Konto' is forbidden, and it is the glossary's only translation of 'account'",
            id="its only translation",
        ),
        pytest.param(
            {"glossary": {"account": ["Konto", "Account"]}, "forbidden_terms": ["ACCOUNT", "Konto"]},
            "'Konto' is forbidden",
            id="all of its translations",
        ),
        pytest.param(
            {"do_not_translate": ["Acme"], "forbidden_terms": ["Acme"]},
            "'Acme' is forbidden, and do_not_translate keeps it",
            id="a name",
        ),
        pytest.param(
            {"glossary": {"account": ["Konto", "Account"]}, "forbidden_terms": ["Konto"]}, None, id="one is left"
        ),
        pytest.param({"glossary": {"invoice": "Konto"}, "forbidden_terms": ["Konto"]}, None, id="not in the text"),
        pytest.param(
            {"do_not_translate": ["Globex"], "forbidden_terms": ["Globex"]}, None, id="a name not in the text"
        ),
    ],
)
def test_terms_that_no_translation_could_keep_are_refused(given: dict[str, Any], said: str | None) -> None:
    asked = {"text": "The account of Acme.", "source_language": "en", "target_language": "de", **given}
    if said is None:
        assert TranslationRequest.model_validate(asked).text == asked["text"]
        return
    with pytest.raises(ValidationError) as found:
        TranslationRequest.model_validate(asked)
    (error,) = found.value.errors()
    assert (error["loc"], said in error["msg"]) == (("forbidden_terms",), True)
