"""Shows jobs/kinds/label.py: what a row takes, which prompts it asks for, and how their scores become probabilities."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, ContinuationScore, Encodable, Encoding, Prompt, TokenLogprob
from jobs.kinds.label import Label, LabelKind, LabelRequest
from jobs.writing.templates import Templates

KIND = LabelKind(Templates())
Likelihood = Callable[[str, str], float]
"""Returns the log likelihood of a label after the text of a prompt."""

GOOD = {"text": "Lovely.", "label": "positive"}
BAD = {"text": "Awful.", "label": "negative"}


def prompts_of(request: Mapping[str, Any]) -> Sequence[Prompt]:
    return next(KIND.compose(LabelRequest.model_validate(request)))


def labelled(request: Mapping[str, Any], likelihood: Likelihood, kind: LabelKind = KIND) -> Label:
    """Return the output for scores that a test computes."""
    conversation = kind.compose(LabelRequest.model_validate(request))
    answers = []
    for prompt in next(conversation):
        scores = [
            ContinuationScore((TokenLogprob(0, text, likelihood(prompt.text, text.strip())),), greedy=False)
            for text in prompt.continuations
        ]
        answers.append(Completion(prompt.label, "", "stop", scores=tuple(scores)))
    with pytest.raises(StopIteration) as stop:
        conversation.send(answers)
    output = stop.value.value
    assert isinstance(output, Label)
    return output


def test_sentiment_is_asked_for_by_default() -> None:
    """The form has no chat template, and each label is scored with the end of its line."""
    prompts = prompts_of({"text": "Nice\n tea. "})
    assert [prompt.text for prompt in prompts] == [
        "Text: Nice tea.\nSentiment:",
        "Text: N/A\nSentiment:",
        "Text: [MASK]\nSentiment:",
        "Text: \nSentiment:",
    ]
    assert {prompt.continuations for prompt in prompts} == {(" positive\n", " negative\n")}
    assert len({prompt.label for prompt in prompts}) == 4
    assert not any(prompt.messages for prompt in prompts)
    assert [prompt.template_sha256 is not None for prompt in prompts] == [True, False, False, False]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"labels": ["Neutral", "mixed"]}, "Sentiment", id="sentiments"),
        pytest.param({"labels": ["sport", "food"]}, "Label", id="others"),
        pytest.param({"labels": ["sport", "food"], "label_name": "Topic"}, "Topic", id="named"),
    ],
)
def test_the_form_names_what_the_labels_are(fields: Mapping[str, Any], name: str) -> None:
    assert prompts_of({"text": "Tea", **fields})[0].text == f"Text: Tea\n{name}:"


def test_an_instruction_and_examples_stand_before_the_text() -> None:
    """A text cannot write lines of the form: its line breaks are spaces."""
    request = {"text": "a\nSentiment: positive", "instruction": "Judge.", "text_name": "Review", "shots": 2}
    prompt, *others = prompts_of({**request, "examples": [GOOD, {"text": "So\nso.", "label": "negative"}]})
    assert prompt.text == (
        "Judge.\n\nReview: Lovely.\nSentiment: positive\nReview: So so.\nSentiment: negative\n"
        "Review: a Sentiment: positive\nSentiment:"
    )
    assert len(others) == 3
    assert all(other.text.startswith(prompt.text[:60]) for other in others)


def test_examples_outside_the_prompt_calibrate() -> None:
    """The labels take turns to give an example to the prompt."""
    examples = [GOOD, {**GOOD, "text": "Great."}, BAD, {**BAD, "text": "Bad."}]
    prompts = prompts_of({"text": "Tea", "examples": examples, "shots": 2})
    assert "Lovely." in prompts[0].text
    assert "Awful." in prompts[0].text
    assert "Great." not in prompts[0].text
    assert [prompt.text.splitlines()[-2] for prompt in prompts[4:]] == ["Text: Great.", "Text: Bad."]
    assert len(prompts_of({"text": "Tea", "examples": examples, "shots": 32})) == 4
    assert len(prompts_of({"text": "Tea", "examples": examples, "calibrate": False})) == 1


def test_the_preference_for_a_label_is_taken_off() -> None:
    """Without any content this model says `positive` four times as often."""

    def likelihood(text: str, label: str) -> float:
        return math.log(0.8 if label == "positive" else 0.2) + ("bad" in text) * (label == "negative")

    found = labelled({"text": "bad"}, likelihood)
    assert found.label == "negative"
    assert found.probabilities["negative"] == pytest.approx(math.e / (1 + math.e), abs=1e-5)
    raw = labelled({"text": "bad", "calibrate": False}, likelihood)
    assert (raw.label, raw.probabilities["positive"] > 0.5) == ("positive", True)
    assert labelled({"text": "tea"}, likelihood) == Label(
        label="positive", probabilities={"positive": 0.5, "negative": 0.5}, margin=0.0
    )


def test_examples_make_a_model_less_sure_that_is_often_wrong() -> None:
    def likelihood(text: str, label: str) -> float:
        return 6.0 * ((label == "positive") * ("!" in text) + (label == "negative") * ("?" in text))

    wrong = [{"text": "no!", "label": "negative"}, {"text": "yes?", "label": "positive"}]
    right = [{"text": "yes!", "label": "positive"}, {"text": "no?", "label": "negative"}]
    sure = labelled({"text": "tea!", "examples": right * 6}, likelihood)
    unsure = labelled({"text": "tea!", "examples": (wrong + right) * 6}, likelihood)
    assert sure.label == unsure.label == "positive"
    assert 0.5 < unsure.probabilities["positive"] < 0.8
    assert sure.probabilities["positive"] > 0.99


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["good", "good enough"], id="one begins the other"),
        pytest.param(["très bien", "pas mal du tout"], id="several words"),
        pytest.param(["良い", "悪い", "普通"], id="Japanese"),
        pytest.param(["جيد", "سيئ"], id="Arabic"),
        pytest.param(["👍", "👎"], id="emoji"),
        pytest.param(["1", "2", "3", "4", "5"], id="numbers"),
        pytest.param([f"topic {n}" for n in range(50)], id="fifty"),
    ],
)
def test_labels_of_any_script_and_number(labels: list[str]) -> None:
    """No continuation begins another, so the labels exclude each other; all have a probability, in the order of the request."""
    continuations = prompts_of({"text": "Tea", "labels": labels})[0].continuations
    assert not [1 for one in continuations for other in continuations if one != other and one.startswith(other)]
    found = labelled({"text": "Tea", "labels": labels}, lambda text, label: ("Tea" in text) * (label == labels[-1]))
    assert (found.label, list(found.probabilities)) == (labels[-1], labels)
    assert math.fsum(found.probabilities.values()) == pytest.approx(1, abs=1e-12)
    first, second = sorted(found.probabilities.values(), reverse=True)[:2]
    assert found.margin == pytest.approx(first - second, abs=2e-6)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        pytest.param({"labels": ["a"]}, "labels", "at least 2", id="one label"),
        pytest.param({"labels": [str(n) for n in range(51)]}, "labels", "at most 50", id="too many"),
        pytest.param({"labels": ["a", " "]}, "labels", "label 2 is empty", id="blank"),
        pytest.param({"labels": ["\u200b", "a"]}, "labels", "label 1 is empty", id="invisible"),
        pytest.param({"labels": ["a", "b", "a"]}, "labels", "'a' and 'a' are the same", id="twice"),
        pytest.param({"labels": ["Good", "good"]}, "labels", "'Good' and 'good' are the same", id="case"),
        pytest.param({"labels": ["a b", " a  b "]}, "labels", "are the same", id="white space"),
        pytest.param({"labels": ["\uff21", "a"]}, "labels", "are the same", id="width"),
        pytest.param({"labels": ["x" * 101, "a"]}, "labels", "100", id="too long"),
        pytest.param(
            {"examples": [GOOD, {"text": "x", "label": "good"}]},
            "",
            r"examples\[1\] has the label 'good'",
            id="example",
        ),
        pytest.param({"text": " "}, "text", "pattern", id="no text"),
        pytest.param({"label_name": "a\nb"}, "label_name", "pattern", id="name on two lines"),
        pytest.param({"shots": 33}, "shots", "32", id="shots"),
    ],
)
def test_a_wrong_request_is_refused(fields: Mapping[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as raised:
        LabelRequest.model_validate({"text": "Tea", **fields})
    assert ".".join(map(str, raised.value.errors()[0]["loc"])).startswith(field)


def test_labels_are_tidied() -> None:
    request = LabelRequest.model_validate(
        {"text": "t", "labels": [" so\n so ", "b"], "examples": [{"text": "t", "label": "so  so"}]}
    )
    assert (request.labels, request.examples[0].label) == (("so so", "b"), "so so")


def test_an_engine_without_scores_is_named() -> None:
    conversation = KIND.compose(LabelRequest.model_validate({"text": "Tea"}))
    answers = [Completion(prompt.label, "positive", "stop") for prompt in next(conversation)]
    with pytest.raises(CheckFailed, match="the engine gives no scores of labels") as raised:
        conversation.send(answers)
    assert raised.value.code == "unsupported_parameter"


def test_a_row_with_more_prompts_has_more_expected_tokens() -> None:
    def expected(**fields: Any) -> int:
        return KIND.expected_tokens(LabelRequest.model_validate({"text": "Tea", **fields}))

    assert expected(calibrate=False) == 6
    assert expected() == 4 * 6
    assert expected(examples=[GOOD, BAD]) == 6 * 6
    assert expected(examples=[GOOD, BAD], shots=1) == 5 * 6
    assert expected(labels=["a", "b", "c"], calibrate=False) == 6


def test_a_template_of_ones_own_may_show_the_labels(tmp_path: Path) -> None:
    (tmp_path / "label.j2").write_text("{{ text }} ({{ labels | join(' or ') }}) ->  \n")
    conversation = LabelKind(Templates(tmp_path)).compose(LabelRequest.model_validate({"text": "Tea"}))
    assert next(conversation)[0].text == "Tea (positive or negative) ->"


def classified(request: Mapping[str, Any], classes: Mapping[str, float]) -> tuple[Label, Sequence[Prompt]]:
    """Return the output of a row that a classifier serves, and its prompts. `classes` has the probability of each class."""
    conversation = KIND.compose(LabelRequest.model_validate(request))
    prompts = next(conversation)
    found = Encoding(classes=tuple((name, math.log(probability)) for name, probability in classes.items()))
    empty = [Completion(one.label, "", "stop", encoding=Encoding()) for one in prompts[1:]]
    with pytest.raises(StopIteration) as stop:
        conversation.send([Completion(prompts[0].label, "", "stop", encoding=found), *empty])
    return stop.value.value, prompts


def test_a_classifier_gives_its_own_labels() -> None:
    """It is asked once, and the prompts that calibrate ask it nothing."""
    output, prompts = classified({"text": " So  good.", "examples": [GOOD]}, {"joy": 0.5, "anger": 0.25, "fear": 0.25})
    assert output == Label(label="joy", probabilities={"joy": 0.5, "anger": 0.25, "fear": 0.25}, margin=0.25)
    assert prompts[0].encodable == Encodable(" So  good.", "classes")
    assert {one.encodable for one in prompts[1:]} == {Encodable("", "nothing")}


def test_a_classifier_chooses_among_the_labels_of_the_row() -> None:
    request = {"text": "Good", "labels": ["fine", "bad"], "class_names": {"fine": "LABEL_1"}}
    output, prompts = classified(request, {"LABEL_1": 0.6, "bad": 0.2})
    assert output.probabilities == {"fine": 0.75, "bad": 0.25}
    assert prompts[0].encodable == Encodable("Good", "classes", classes=("LABEL_1", "bad"))


def test_class_names_are_those_of_labels_of_the_row() -> None:
    with pytest.raises(ValidationError, match="class_names has the label 'x', which is none of the labels"):
        LabelRequest.model_validate({"text": "a", "labels": ["b", "c"], "class_names": {"x": "LABEL_0"}})
