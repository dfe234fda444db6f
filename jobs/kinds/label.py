"""A label for a text, chosen among given labels by how likely the model would write each of them: sentiment, topic, or any other.

The model writes nothing. It reads the text in a form, `Text: ...` and on the next line `Sentiment:`, and is asked how likely each
label is to follow. Each label is scored with the end of its line, so that "good" and "good enough" are two different endings, and
neither begins the other. The form has no chat template: small models label far better in it, and base models can read it.

The likelihoods become probabilities as `jobs/writing/scores/calibration.py` describes: against the same form with texts that say
nothing, and on the examples of the request that do not stand in the prompt.

A classifier reads the text alone, in one pass, and has the probabilities already: no form, no calibration. Its classes have names
of their own, which `class_names` maps to the labels of the request.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from jobs.checks.contract import Contract
from jobs.errors import CheckFailed
from jobs.generation import Completion, Encodable, Prompt
from jobs.writing.fields import Line, Text
from jobs.writing.scores.calibration import DIGITS, fit, preference, rounded, softmax
from jobs.writing.scores.label_names import LABELS, SENTIMENTS, distinct, tidy
from jobs.writing.templates import Rendered, Templates

CONTENT_FREE: Final = ("N/A", "[MASK]", "")
"""The texts that say nothing (Zhao et al. 2021 use these three)."""

TEXT: Final = "text"
"""The label of the prompt with the row's own text."""

FOR_WRITERS: Final = Encodable("", "nothing")
"""What a classifier is asked by the prompts that calibrate: nothing."""

END: Final = "\n"
"""What follows a label in the form. It is scored with the label."""

TOKENS_OF_END: Final = 1
BYTES_A_TOKEN: Final = 4
"""For the expected tokens of a label: a token for its end, and one for each so many bytes of it."""

Name = Annotated[str, StringConstraints(max_length=100), AfterValidator(tidy)]
"""A label: a text on one line. White space at its ends is left out, and white space within it is one space."""


class LabelExample(BaseModel):
    """A text whose label is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text = Field(max_length=10_000, description="The text.")
    label: Name = Field(description="Its label, one of the labels of the row.")


class LabelRequest(BaseModel):
    """A text, and the labels to choose from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    uses_chat_template: ClassVar[bool] = False
    needs_scores: ClassVar[bool] = True
    takes_encoder: ClassVar[bool] = True

    text: Text = Field(max_length=100_000, description="The text to label.")
    labels: Annotated[tuple[Name, ...], Field(min_length=2, max_length=50), AfterValidator(distinct)] | None = Field(
        default=None,
        description="The labels to choose from, 2 to 50. None: positive and negative; of a classifier all its own.",
    )
    class_names: dict[Name, Annotated[str, StringConstraints(min_length=1, max_length=1_000)]] = Field(
        default={},
        max_length=50,
        description="For a classifier: label -> the classifier's own name of it, such as LABEL_1. A label that is left out has "
        "the same name there, in upper or lower case.",
    )
    label_name: Line | None = Field(
        default=None,
        max_length=100,
        description="What the labels are, such as Topic; a word that fits them well makes them far more accurate. None: "
        "Sentiment if they are one, else Label.",
    )
    text_name: Line = Field(default="Text", max_length=100, description="What the text is, such as Review.")
    instruction: Text | None = Field(
        default=None,
        max_length=10_000,
        description="A text to put before the form. Small models do better without one.",
    )
    examples: tuple[LabelExample, ...] = Field(
        default=(),
        max_length=100,
        description="Objects with text and label: texts whose label is known, for the prompt (shots) and for calibration.",
    )
    shots: int = Field(
        default=0, ge=0, le=32, description="How many of the examples stand in the prompt; all others calibrate."
    )
    calibrate: bool = Field(
        default=True,
        description="Whether to correct the likelihoods by texts that say nothing, and by the examples outside the prompt.",
    )

    @model_validator(mode="after")
    def _examples_are_labelled(self) -> Self:
        for n, example in enumerate(self.examples):
            if example.label not in self.choices:
                raise ValueError(f"examples[{n}] has the label {example.label!r}, which is none of the labels")
        for label in self.class_names:
            if label not in (self.labels or ()):
                raise ValueError(f"class_names has the label {label!r}, which is none of the labels")
        return self

    @property
    def choices(self) -> Sequence[str]:
        """The labels that a model without classes of its own chooses from."""
        return self.labels or LABELS

    @property
    def encodable(self) -> Encodable:
        """What a classifier is asked."""
        return Encodable(
            self.text, "classes", classes=tuple(self.class_names.get(one, one) for one in self.labels or ())
        )

    @property
    def names(self) -> Mapping[str, str]:
        """The names of text and label in the form."""
        is_sentiment = SENTIMENTS.issuperset(label.casefold() for label in self.choices)
        return {
            "text_name": self.text_name,
            "label_name": self.label_name or ("Sentiment" if is_sentiment else "Label"),
        }

    def split_examples(self) -> tuple[Sequence[LabelExample], Sequence[LabelExample]]:
        """Return the examples that stand in the prompt, and those that calibrate, both in their order.

        The labels take turns to give an example to the prompt, so that it shows each as often as it can.
        """
        left = {label: [n for n, one in enumerate(self.examples) if one.label == label] for label in self.choices}
        shown = set[int]()
        while len(shown) < min(self.shots, len(self.examples)):
            for numbers in left.values():
                if numbers and len(shown) < self.shots:
                    shown.add(numbers.pop(0))
        numbered = list(enumerate(self.examples))
        return [one for n, one in numbered if n in shown], [one for n, one in numbered if n not in shown]


class Label(BaseModel):
    """The most probable label, and the probability of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="The most probable label.")
    probabilities: Mapping[str, float] = Field(description="Label -> its probability; together they are 1.")
    margin: float = Field(ge=0, le=1, description="By how much it is more probable than the next.")


class LabelKind:
    """The kind `label`."""

    name = "label"
    request_type = LabelRequest
    output_type = Label
    contract = Contract(texts={"label": "plain"}, checks=("low_confidence", "unknown_label"), writes=False)
    example: Mapping[str, Any] = {
        "text": "The soup was cold, and nobody said sorry.",
        "labels": ["praise", "complaint", "question"],
        "label_name": "What the guest writes",
    }

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Label]:
        """Ask for the scores of all prompts at once, and return the label. Raises CheckFailed if an engine gives no scores."""
        if not isinstance(request, LabelRequest):
            raise TypeError(type(request))
        shown, held = request.split_examples()
        prompts = [replace(self._prompt(request, shown, request.text, TEXT), encodable=request.encodable)]
        if request.calibrate:
            prompts += [
                self._prompt(request, shown, text, f"without content {n}") for n, text in enumerate(CONTENT_FREE, 1)
            ]
            prompts += [self._prompt(request, shown, one.text, f"example {n}") for n, one in enumerate(held, 1)]
        answers = yield prompts
        if classes := answers[0].encoding.classes if answers[0].encoding else ():
            labels = request.labels or tuple(name for name, _ in classes)
            return _label(labels, softmax([logprob for _, logprob in classes]))
        return self._calibrated(request, [_scores(answer, request.choices) for answer in answers], held)

    def _calibrated(
        self, request: LabelRequest, scores: Sequence[Sequence[float]], held: Sequence[LabelExample]
    ) -> Label:
        """Return the label by the scores of all prompts: the text's, those without content, those of the `held` examples."""
        if not request.calibrate:
            return _label(request.choices, softmax(scores[0]))
        of_label = preference(scores[1 : 1 + len(CONTENT_FREE)])
        of_text, *of_examples = (
            tuple(score - usual for score, usual in zip(row, of_label, strict=True))
            for row in (scores[0], *scores[1 + len(CONTENT_FREE) :])
        )
        known = [request.choices.index(one.label) for one in held]
        slope = fit(tuple(zip(of_examples, known, strict=True)))
        return _label(request.choices, softmax(of_text, slope))

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about how many tokens of labels are scored, over all prompts."""
        if not isinstance(request, LabelRequest):
            return 1
        prompts = 1 + (len(CONTENT_FREE) + len(request.split_examples()[1]) if request.calibrate else 0)
        return prompts * sum(TOKENS_OF_END + -(-len(label.encode()) // BYTES_A_TOKEN) for label in request.choices)

    def _prompt(self, request: LabelRequest, shown: Sequence[LabelExample], text: str, label: str) -> Prompt:
        rendered: Rendered = self._templates.render(
            "label.j2",
            text=tidy(text),
            labels=request.choices,
            instruction=request.instruction,
            examples=[{"text": tidy(one.text), "label": one.label} for one in shown],
            **request.names,
        )
        return Prompt(
            text=rendered.text,
            label=label,
            continuations=tuple(f" {one}{END}" for one in request.choices),
            encodable=FOR_WRITERS,
            template_sha256=rendered.sha256 if label == TEXT else None,  # the other prompts have the same template
        )


def _scores(answer: Completion, labels: Sequence[str]) -> list[float]:
    if len(answer.scores) != len(labels):
        raise CheckFailed(
            "unsupported_parameter", "the engine gives no scores of labels: take a model of another engine"
        )
    return [score.logprob for score in answer.scores]


def _label(labels: Sequence[str], probabilities: Sequence[float]) -> Label:
    """Return the output. Of labels that are equally probable, the first is chosen."""
    published = rounded(probabilities)
    ranked = sorted(published, reverse=True)
    return Label(
        label=labels[published.index(ranked[0])],
        probabilities=dict(zip(labels, published, strict=True)),
        margin=round(ranked[0] - ranked[1], DIGITS),
    )
