"""A translation: the source cut into segments, each translated by itself, and put together as it was.

Segments are the lines of the text that have words. Blank lines, indentation, lines of signs or numbers and, in Markdown,
code blocks and the marks that begin a line are kept as they are, so that only words pass through the model.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.writing.fields import LanguageTag, Line, Text, named
from jobs.writing.prose import FENCE, answered, bare, sentences
from jobs.writing.templates import Templates

_INDENT: Final = re.compile(r"\s*")
_MARKS: Final = re.compile(r"\s*(?:#{1,6}\s+|[-*+]\s+(?:\[[ xX]\]\s+)?|\d{1,9}[.)]\s+|>\s*)*")
_ADDED_MARK: Final = re.compile(r"(?:[-*+•]|#{1,6})\s+")

Term = Annotated[Line, StringConstraints(max_length=200)]


class TranslationRequest(BaseModel):
    """A text, from one language into another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text = Field(max_length=200_000, description="The source.")
    source_language: LanguageTag = Field(description="The language of the source, as a BCP 47 tag.")
    target_language: LanguageTag = Field(description="The language to translate into, as a BCP 47 tag.")
    format: Literal["plain", "markdown"] = Field(default="plain", description="What markup the text has; it is kept.")
    glossary: Mapping[Term, Term] = Field(
        default={}, max_length=1_000, description="Source terms and their translations."
    )
    formality: Literal["default", "formal", "informal"] = Field(
        default="default", description="How readers are addressed."
    )


class TranslatedSegment(BaseModel):
    """One segment in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, description="As it was.")
    target: str = Field(min_length=1, description="As it was translated.")


class Translation(BaseModel):
    """The text in the other language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, description="The whole text, in the form of the source.")
    segments: tuple[TranslatedSegment, ...] = Field(description="What was translated, in order.")


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of the source: what stands before its words, the words (empty: nothing to translate), and its end."""

    before: str
    words: str
    after: str


def segmented(text: str, form: str) -> list[Segment]:
    """The lines of a text. Put together again they are the text; code blocks of Markdown have no words."""
    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = match[1] if form == "markdown" and (match := FENCE.match(line)) else ""
        if fence or mark:
            fence = "" if fence and line.strip() == fence else fence or mark
            lines.append(Segment(line, "", ""))
            continue
        match = (_MARKS if form == "markdown" else _INDENT).match(line)
        start = match.end() if match else 0
        words = line[start:].rstrip()
        if any(map(str.isalpha, words)):
            lines.append(Segment(line[:start], words, line[start + len(words) :]))
        else:
            lines.append(Segment(line, "", ""))
    return lines


class TranslationKind:
    """The kind `translation`."""

    name = "translation"
    request_type = TranslationRequest
    output_type = Translation

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Translation]:
        """A prompt for each segment, all side by side."""
        if not isinstance(request, TranslationRequest):
            raise TypeError(type(request))
        lines = segmented(request.text, request.format)
        sources = [line.words for line in lines if line.words]
        answers = (yield [self._prompt(request, n, source) for n, source in enumerate(sources, 1)]) if sources else []
        if len(answers) != len(sources):
            raise CheckFailed("segment_mismatch", f"{len(sources)} segments went out and {len(answers)} came back")
        segments = [
            TranslatedSegment(source=source, target=_target(n, source, answer))
            for n, (source, answer) in enumerate(zip(sources, answers, strict=True), 1)
        ]
        targets = iter(segments)
        text = "".join(line.before + (next(targets).target if line.words else "") + line.after for line in lines)
        return Translation(text=text, segments=tuple(segments))

    def expected_tokens(self, request: BaseModel) -> int:
        """About as many as the source has."""
        return _most_tokens(getattr(request, "text", "")) // 2 + 1

    def _prompt(self, request: TranslationRequest, n: int, source: str) -> Prompt:
        terms = {term: target for term, target in request.glossary.items() if term.lower() in source.lower()}
        messages, sha256 = self._templates.turns(
            "translation_system.j2",
            "translation_user.j2",
            source=source,
            source_language=named(request.source_language),
            target_language=named(request.target_language),
            glossary=terms,
            formality=request.formality,
        )
        return Prompt(
            messages=messages,
            params=SamplingParams(max_tokens=_most_tokens(source) + 32, temperature=0.0),
            label=f"segment {n}",
            template_sha256=sha256,
        )


def _most_tokens(source: str) -> int:
    """Room for the translation: about one token for each letter of an alphabet, four for an ideograph."""
    ideographs = sum(character >= "\u2e80" for character in source)
    return len(source) + 3 * ideographs


def _target(n: int, source: str, answer: Completion) -> str:
    """The segment on one line, since a line of the source stays a line, and without what the model put around it.

    What follows a paragraph that has as many sentences as the source is a remark; a model that ran on to max_tokens has its
    segment cut to that many.
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", answered(answer.text)) if part.strip()]
    count = max(1, len(sentences(source)))
    if paragraphs and len(sentences(paragraphs[0])) >= count:
        paragraphs = paragraphs[:1]
    target = " ".join(paragraphs)
    if bare(source) == source:
        target = bare(target)
    if mark := _ADDED_MARK.match(target):
        target = target if _ADDED_MARK.match(source) else target[mark.end() :]
    if not target:
        raise CheckFailed("empty_output", f"segment {n} came back empty", field="text")
    if answer.finish_reason == "length":
        found = sentences(target)
        if len(found) < count:
            raise CheckFailed("output_incomplete", f"segment {n} ended before it was whole", field="text")
        target = " ".join(found[:count])
    return target
