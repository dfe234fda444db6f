"""A translation: the source is cut into units, each is translated by itself, and the results are put together.

A unit is a line of the text that has words, or the whole text of a segment (`translating/units.py`). A long unit and an ICU
message are asked for in parts (`translating/parts.py`). What must stay as it is, such as placeholders, is hidden from the model
behind signs, and is put back into its answer (`translating/questions.py`). In the output and in the translation memory the units
are called segments, as translators call them. (The files of outcomes, which have this name too, are something else.)
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.findings import CheckSetting
from jobs.generation import Completion, Prompt
from jobs.kinds.asking import asked_until_kept
from jobs.kinds.translating.memory import Forgetful, Memory
from jobs.kinds.translating.plan import Plan
from jobs.kinds.translating.questions import TEMPLATES, Questions, most_tokens
from jobs.kinds.translating.request import TranslationRequest
from jobs.kinds.translating.units import units_of
from jobs.memory.entry import Query
from jobs.writing.cleaning import CleanedOutput
from jobs.writing.templates import Templates
from jobs.writing.terms.row_terms import FORBIDDEN, GLOSSARY, NAMES, terms_sha256


def _is_empty(found: Sequence[str]) -> bool:
    return not found


class TranslatedSegment(BaseModel):
    """A segment in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, description="The segment in the source language.")
    target: str = Field(min_length=1, description="Its translation.")
    alternatives: tuple[str, ...] = Field(
        default=(), exclude_if=_is_empty, description="The next best translations, if the row asks for some."
    )


class Translation(CleanedOutput):
    """The text in both languages."""

    source_language: str = Field(description="The language of the source.")
    target_language: str = Field(description="The language of the translation.")
    source: str = Field(description="The text that was translated.")
    text: str = Field(min_length=1, description="The whole translation, in the form of the source.")
    segments: tuple[TranslatedSegment, ...] = Field(description="The segments in their order.")


class TranslationKind:
    """The kind `translation`."""

    name = "translation"
    request_type = TranslationRequest
    output_type = Translation
    contract = Contract(
        texts={"text": "plain"},
        checks=(
            "placeholders_changed",
            "markup_changed",
            "icu_invalid",
            "untranslated",
            "numbers_changed",
            "url_or_email_changed",
            "glossary_missed",
            "names_changed",
            "end_punctuation",
            "whitespace_edges",
            "max_length",
            "length_ratio",
            "wrapper",
        ),
        settings={"forbidden_term": CheckSetting.model_validate({"inflected": True})},
        language="target_language",
        source="text",
        source_language="source_language",
        form="format",
    )
    example: Mapping[str, Any] = {
        "text": "Water the tomatoes early in the morning.",
        "source_language": "en",
        "target_language": "de",
        "glossary": {"tomatoes": "Tomaten"},
    }

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(
        self, request: BaseModel, checker: Checker = UNCHECKED, memory: Memory | None = None
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Translation]:
        """Ask for all parts at once, and again for those that are damaged or that a check refuses. Returns the translation."""
        if not isinstance(request, TranslationRequest):
            raise TypeError(type(request))
        plan = Plan(request, memory or Forgetful(), checker)
        questions = Questions(request, plan.questions, self._templates, checker)

        def review(texts: Sequence[str]) -> Mapping[int, Sequence[str]]:
            found = {n: questions.faults(n, text) for n, text in enumerate(texts)}
            return found if any(found.values()) else _blamed(checker, plan, texts)

        tries = checker.tries if checker.checks else 1
        texts = yield from asked_until_kept(len(plan.questions), questions.ask, questions.read, review, tries)
        return _translation(plan, texts, questions.alternatives).with_removed(questions.removed)

    def memory_query(self, request: BaseModel) -> Query | None:
        """Return what a row asks the translation memory."""
        if not isinstance(request, TranslationRequest):
            return None
        asked = {GLOSSARY: request.glossary, NAMES: request.do_not_translate, FORBIDDEN: request.forbidden_terms}
        return Query(
            tuple(unit.words for unit in units_of(request) if unit.words),
            request.source_language,
            request.target_language,
            context=request.context,
            terms=terms_sha256(asked) or "",
            formality=request.formality,
            template=self._templates.messages_sha256(*TEMPLATES),
        )

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about as many tokens as the source has."""
        return most_tokens(getattr(request, "text", "")) // 2 + 1


def _translation(
    plan: Plan, texts: Sequence[str], alternatives: Mapping[int, Sequence[str]] | None = None
) -> Translation:
    request, targets = plan.request, plan.targets(texts)
    found = zip(plan.worded, targets, plan.alternatives(alternatives or {}), strict=True)
    return Translation(
        source_language=request.source_language,
        target_language=request.target_language,
        source=request.text,
        text=plan.text(targets),
        segments=tuple(
            TranslatedSegment(source=unit.words, target=target, alternatives=others) for unit, target, others in found
        ),
    )


def _blamed(checker: Checker, plan: Plan, texts: Sequence[str]) -> Mapping[int, Sequence[str]]:
    """Return what is wrong with the whole translation, by the questions in whose answers the faults lie."""
    blamed: dict[int, list[str]] = {}
    spans = plan.spans(texts)
    for one in checker.faults(_translation(plan, texts).model_dump(mode="json")):
        if one.where is None and len(spans) > 1:
            continue
        place = one.where.start if one.where is not None else 0
        hit = [n for n, start, end in spans if start <= place < end] or ([spans[0][0]] if len(spans) == 1 else [])
        for n in hit:
            blamed.setdefault(n, []).append(one.message)
    return blamed
