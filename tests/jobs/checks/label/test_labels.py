"""Shows the checks of labels: one that is hardly more probable than another, and one that the request does not have."""

from collections.abc import Mapping
from typing import Any

import pytest

from jobs.checks.registry import checks_of, load_checks
from jobs.findings import Severity, verdict_of
from tests.support.checking import findings_of

ROW = {"text": "Tea"}


def output(label: str, **probabilities: float) -> Mapping[str, Any]:
    return {"label": label, "probabilities": probabilities}


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        pytest.param(output("positive", positive=0.55, negative=0.45), False, id="at the limit"),
        pytest.param(output("positive", positive=0.549, negative=0.451), True, id="below"),
        pytest.param(output("a", a=0.3, b=0.1, c=0.1), False, id="far from all others"),
        pytest.param(output("a", a=0.3, b=0.1, c=0.29), True, id="near one"),
        pytest.param("positive", False, id="a text of another tool"),
        pytest.param({"label": "positive", "probabilities": {"positive": "high"}}, False, id="no numbers"),
        pytest.param({"label": "positive", "probabilities": None}, False, id="none"),
        pytest.param(output("a", a=float("nan"), b=0.5), False, id="not a number"),
    ],
)
def test_a_person_decides_between_labels_that_are_near(given: Mapping[str, Any] | str, broken: bool) -> None:
    found = findings_of("low_confidence", "label", ROW, given)
    assert bool(found) == broken
    assert not broken or (verdict_of(found), found[0].limit) == ("review", 0.1)


def test_the_message_names_both_labels_and_the_limit_can_be_set() -> None:
    given = output("良い", 良い=0.5, 悪い=0.3, 普通=0.2)
    assert findings_of("low_confidence", "label", ROW, given) == []
    (found,) = findings_of("low_confidence", "label", ROW, given, min_margin=0.25)
    assert found.message == "the label '良い' has the probability 0.50, and '悪い' has 0.30"
    assert (found.measured, found.limit) == (0.2, 0.25)


@pytest.mark.parametrize(
    ("request_", "label", "broken"),
    [
        pytest.param(ROW, "negative", False, id="of the default labels"),
        pytest.param(ROW, "neutral", True, id="none of the default labels"),
        pytest.param({**ROW, "labels": ["so so", "b"]}, "so  so", False, id="white space"),
        pytest.param({**ROW, "labels": ["so so", "b"]}, "So so", True, id="case"),
        pytest.param({**ROW, "labels": ["جيد", "سيئ"]}, "جيد", False, id="Arabic"),
        pytest.param({**ROW, "labels": ["جيد", "سيئ"]}, "good", True, id="translated"),
    ],
)
def test_a_label_is_one_of_the_request(request_: Mapping[str, Any], label: str, broken: bool) -> None:
    for given in (label, {"label": label}):
        found = findings_of("unknown_label", "label", request_, given)
        assert bool(found) == broken
        assert not broken or (found[0].severity, label in found[0].message) == (Severity.FAIL, True)


def test_no_check_of_prose_reads_a_label() -> None:
    """A label is a word of the request, and no text that the model wrote."""
    row = {"text": "x", "labels": ["TODO", "As an AI, I cannot"]}
    for code, check in load_checks().items():
        for label in row["labels"] if check.general else ():
            assert findings_of(code, "label", row, {"label": label}) == [], code
    own = {check.code for check in checks_of(("low_confidence",), writes=False)}
    assert own == {"low_confidence"}


def test_without_labels_in_the_request_those_of_a_classifier_are_known() -> None:
    given = {"label": "joy", "probabilities": {"joy": 0.7, "fear": 0.3}}
    assert findings_of("unknown_label", "label", {"text": "x"}, given) == []
    assert findings_of("unknown_label", "label", {"text": "x"}, {**given, "label": "anger"})
    assert findings_of("unknown_label", "label", {"text": "x", "labels": ["a", "b"]}, given)
