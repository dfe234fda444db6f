"""A translation: the source cut into segments, each translated by itself, and put together as it was.

Segments are the lines of the text. Blank lines, indentation and, in Markdown, the marks that begin a line are kept as they
are, so that only words pass through the model.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt, SamplingParams
from jobs.kinds.templating import Templates

LanguageTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
"""A language tag in the form of BCP 47: `de`, `pt-BR`, `zh-Hant`."""

TOKENS_A_CHARACTER: Final = 0.6
_MARKDOWN_LINE: Final = re.compile(r"^(\s*(?:#{1,6}\s+|[-*+]\s+|\d+[.)]\s+|>\s*)*)(.*?)(\s*)$", re.DOTALL)
_PLAIN_LINE: Final = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)
_FENCE: Final = re.compile(r"^\s*(```|~~~)")


class TranslationRequest(BaseModel):
    """A text, from one language into another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=200_000, description="The source.")
    source_language: LanguageTag = Field(description="The language of the source, as a BCP 47 tag.")
    target_language: LanguageTag = Field(description="The language to translate into, as a BCP 47 tag.")
    format: Literal["plain", "markdown"] = Field(default="plain", description="What markup the text has; it is kept.")
    glossary: Mapping[str, str] = Field(
        default={}, max_length=1_000, description="Source terms and their translations."
    )
    formality: Literal["default", "formal", "informal"] = Field(
        default="default", description="How readers are addressed."
    )


class TranslatedSegment(BaseModel):
    """One segment in both languages."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(description="As it was.")
    target: str = Field(description="As it was translated.")


class Translation(BaseModel):
    """The text in the other language."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(description="The whole text, in the form of the source.")
    segments: tuple[TranslatedSegment, ...] = Field(description="What was translated, in order.")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the source: what stands before its words, the words (empty: nothing to translate), and its end."""

    before: str
    words: str
    after: str


def segmented(text: str, form: str) -> list[Line]:
    """The lines of a text. Put together again they are the text; code blocks of Markdown have no words."""
    lines, fenced = [], False
    for line in text.splitlines(keepends=True):
        fence = form == "markdown" and _FENCE.match(line) is not None
        if fenced or fence:
            lines.append(Line(line, "", ""))
        else:
            match = (_MARKDOWN_LINE if form == "markdown" else _PLAIN_LINE).match(line)
            lines.append(Line(*match.groups()) if match else Line("", line, ""))
        fenced ^= fence
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
        answers = (yield [self._prompt(request, n, source) for n, source in enumerate(sources)]) if sources else []
        if len(answers) != len(sources):
            raise CheckFailed("segment_mismatch", f"{len(sources)} segments went out and {len(answers)} came back")
        segments = [
            _checked(n, source, answer) for n, (source, answer) in enumerate(zip(sources, answers, strict=True))
        ]
        targets = iter(segments)
        text = "".join(line.before + (next(targets).target if line.words else "") + line.after for line in lines)
        return Translation(text=text, segments=tuple(segments))

    def expected_tokens(self, request: BaseModel) -> int:
        """About as many as the source has."""
        return int(len(getattr(request, "text", "")) * TOKENS_A_CHARACTER) + 1

    def _prompt(self, request: TranslationRequest, n: int, source: str) -> Prompt:
        terms = {term: target for term, target in request.glossary.items() if term.lower() in source.lower()}
        system = self._templates.render("translation_system.j2")
        user = self._templates.render(
            "translation_user.j2",
            source=source,
            source_language=request.source_language,
            target_language=request.target_language,
            glossary=terms,
            formality=request.formality,
        )
        return Prompt(
            messages=(Message("system", system.text), Message("user", user.text)),
            params=SamplingParams(max_tokens=int(len(source) * TOKENS_A_CHARACTER * 2) + 32, temperature=0.0),
            label=f"segment {n + 1}",
            template_sha256=user.sha256,
        )


def _checked(n: int, source: str, answer: Completion) -> TranslatedSegment:
    """The segment on one line: a line of the source stays a line."""
    target = " ".join(answer.text.split())
    if not target:
        raise CheckFailed("empty_output", f"segment {n + 1} came back empty", field="text")
    return TranslatedSegment(source=source, target=target)
