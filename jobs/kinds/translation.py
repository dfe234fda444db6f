"""A translation: the source is cut into segments, each segment is translated by itself, and the results are put together.

A segment is a line of the text that has words. (Translators use the word so. The files of outcomes, which are called segments
too, are something else.) Blank lines, indentation, and lines of signs or numbers stay as they are. In Markdown, blocks of code
and the marks at the beginning of a line stay as they are too. Only words pass through the model.
"""

import hashlib
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.checks.translation.mending import mended
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams, Translatable
from jobs.kinds.asking import asked_until_kept
from jobs.memory.entry import Query
from jobs.memory.row_memory import NOTHING_KNOWN, RowMemory
from jobs.writing.asking_again import label_of_try, params_of_try
from jobs.writing.cleaning import CleanedOutput, Draft
from jobs.writing.evidence import Brief, Original, key_of, sentence_count
from jobs.writing.fields import LanguageTag, Line, Text, language_name, same_language
from jobs.writing.labels import TRANSLATION, label
from jobs.writing.prose import FENCE, sentences, whole_length
from jobs.writing.templates import Templates

_INDENT: Final = re.compile(r"\s*")
_MARKS: Final = re.compile(r"\s*(?:#{1,6}\s+|[-*+]\s+(?:\[[ xX]\]\s+)?|\d{1,9}[.)]\s+|>\s*)*")
_NUMBERS: Final = re.compile(r"0*(\d{1,9})[.)]\s")
_ADDED_MARK: Final = re.compile(r"(?:[-*+>•]|#{1,6})\s+")

_TEMPLATES: Final = ("translation_system.j2", "translation_user.j2")

Term = Annotated[Line, StringConstraints(max_length=200)]


class TranslationRequest(BaseModel):
    """A text to translate from one language into another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text = Field(max_length=200_000, description="The text to translate.")
    source_language: LanguageTag = Field(description="The language of the source, as a BCP 47 tag.")
    target_language: LanguageTag = Field(description="The language to translate into, as a BCP 47 tag.")
    format: Literal["plain", "markdown"] = Field(
        default="plain", description="The markup of the text, which the translation keeps."
    )
    glossary: Mapping[Term, Term] = Field(
        default={}, max_length=1_000, description="Terms of the source and their translations."
    )
    formality: Literal["default", "formal", "informal"] = Field(
        default="default", description="How to address readers."
    )

    @property
    def remark(self) -> str | None:
        """A sentence if the source and target languages are the same, which is usually a mistake; else None."""
        source, target = self.source_language, self.target_language
        if not same_language(source, target):
            return None
        return f"source_language {source} and target_language {target} are the same language"


class TranslatedSegment(BaseModel):
    """A segment in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, description="The segment in the source language.")
    target: str = Field(min_length=1, description="Its translation.")


class Translation(CleanedOutput):
    """The text in both languages."""

    source_language: str = Field(description="The language of the source.")
    target_language: str = Field(description="The language of the translation.")
    source: str = Field(description="The text that was translated.")
    text: str = Field(min_length=1, description="The whole translation, in the form of the source.")
    segments: tuple[TranslatedSegment, ...] = Field(description="The segments in their order.")


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of the source in three parts: the marks before the words, the words, and the end. In a line without words,
    `before` holds the whole line.
    """

    before: str
    words: str
    after: str


def segmented(text: str, form: str) -> list[Segment]:
    """Cut a text into its lines. Joined, the lines are the whole text again.

    If `form` is `markdown`, the lines of a block of code count as lines without words.
    """
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
            "end_punctuation",
            "whitespace_edges",
            "max_length",
            "length_ratio",
            "wrapper",
        ),
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
        self, request: BaseModel, checker: Checker = UNCHECKED, memory: RowMemory = NOTHING_KNOWN
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Translation]:
        """Ask for all segments at once, and again for those that a check refuses. Returns the translation.

        Segments that the memory knows are not asked for, unless a check refuses them.
        """
        if not isinstance(request, TranslationRequest):
            raise TypeError(type(request))
        lines = segmented(request.text, request.format)
        worded = [line for line in lines if line.words]
        removed, prompts, cut_off = dict[str, list[str]](), dict[int, Prompt](), set[int]()
        given = _known(memory, checker, worded)
        mends = {code for code in ("end_punctuation", "whitespace_edges") if checker.limits(code) is not None}

        def ask(n: int, number: int, faults: Sequence[str]) -> Prompt:
            number -= n in given  # a known segment that was refused is asked for the first time
            prompts[n] = self._prompt(request, n + 1, worded[n].words, number, faults, memory)
            return prompts[n]

        def read(n: int, prompt: Prompt, answer: Completion) -> TranslatedSegment:
            source = worded[n].words
            target, removed[prompt.label] = _target(n + 1, worded[n], prompt, answer)
            cut_off.discard(n)
            if answer.finish_reason == "length":
                cut_off.add(n)
            if mends:
                target = mended(source, target, request.target_language, request.source_language)
            return TranslatedSegment(source=source, target=target)

        def review(segments: Sequence[TranslatedSegment]) -> Mapping[int, Sequence[str]]:
            found = {n: _faults(checker, one, prompts.get(n), n in cut_off) for n, one in enumerate(segments)}
            return found if any(found.values()) else _blamed(checker, request, lines, segments)

        tries = checker.tries if checker.checks else 1
        segments = yield from asked_until_kept(len(worded), ask, read, review, tries, given)
        memory.report(len(worded), [worded[n].words for n in given if n not in prompts])
        return _joined(request, lines, segments).with_removed(removed)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about as many tokens as the source has."""
        return _most_tokens(getattr(request, "text", "")) // 2 + 1

    def memory_query(self, request: BaseModel) -> Query | None:
        """Return what a row asks the translation memory."""
        if not isinstance(request, TranslationRequest):
            return None
        return Query(
            tuple(line.words for line in segmented(request.text, request.format) if line.words),
            request.source_language,
            request.target_language,
            context=getattr(request, "context", None) or "",
            terms=_terms_sha256(request),
            formality=request.formality,
            template=self._templates.messages_sha256(*_TEMPLATES),
        )

    def _prompt(
        self,
        request: TranslationRequest,
        n: int,
        source: str,
        number: int = 1,
        faults: Sequence[str] = (),
        memory: RowMemory = NOTHING_KNOWN,
    ) -> Prompt:
        hint = memory.hint(source)
        terms = {term: target for term, target in request.glossary.items() if term.lower() in source.lower()}
        messages, sha256 = self._templates.messages(
            *_TEMPLATES,
            source=source,
            source_language=language_name(request.source_language),
            target_language=language_name(request.target_language),
            glossary=terms,
            formality=request.formality,
            hint={"source": hint.source, "target": hint.target} if hint else None,
            faults=faults,
        )
        return Prompt(
            messages=messages,
            params=params_of_try(SamplingParams(max_tokens=_most_tokens(source) + 32, temperature=0.0), number),
            label=label_of_try(f"segment {n}", number),
            replaces=label_of_try(f"segment {n}", number - 1) if number > 1 else None,
            template_sha256=sha256,
            quotes=(*faults, *((hint.source, hint.target) if hint else ())),
            translatable=Translatable(source, request.source_language, request.target_language),
        )


def _joined(
    request: TranslationRequest, lines: Sequence[Segment], segments: Sequence[TranslatedSegment]
) -> Translation:
    """Put the translated words of the lines between the marks and ends of the lines."""
    targets = iter(segments)
    return Translation(
        source_language=request.source_language,
        target_language=request.target_language,
        source=request.text,
        text="".join(line.before + (next(targets).target if line.words else "") + line.after for line in lines),
        segments=tuple(segments),
    )


def _known(memory: RowMemory, checker: Checker, worded: Sequence[Segment]) -> Mapping[int, TranslatedSegment]:
    """Return the segments that the memory knows and no check refuses, by number."""
    found = {
        n: TranslatedSegment(source=one.words, target=target)
        for n, one in enumerate(worded)
        if (target := memory.target(one.words))
    }
    return {n: one for n, one in found.items() if not _faults(checker, one, None, cut_off=False)}


def _terms_sha256(request: TranslationRequest) -> str:
    """Return a hash of the terms of a request; empty if it has none."""
    terms = sorted(request.glossary.items())
    return hashlib.sha256(orjson.dumps(terms)).hexdigest() if terms else ""


def _faults(checker: Checker, segment: TranslatedSegment, prompt: Prompt | None, cut_off: bool) -> list[str]:
    """Return what is wrong with one segment, judged as if it were the whole translation. A known one has no prompt."""
    asked = {"text": segment.source}
    prompts = prompt.instructions if prompt is not None else ()
    found = checker.faults({"text": segment.target}, request=asked, prompts=prompts, cut_off=cut_off)
    return [one.message for one in found if one.code != "max_length"]


def _blamed(
    checker: Checker,
    request: TranslationRequest,
    lines: Sequence[Segment],
    segments: Sequence[TranslatedSegment],
) -> Mapping[int, Sequence[str]]:
    """Return what is wrong with the whole translation, by the segments in which the faults lie."""
    found = checker.faults(_joined(request, lines, segments).model_dump(mode="json")) if len(segments) > 1 else []
    blamed: dict[int, list[str]] = {}
    position, n = 0, 0
    for line in lines:
        start = position + len(line.before)
        if line.words:
            position = start + len(segments[n].target)
            for one in found:
                if one.where is not None and start <= one.where.start < position:
                    blamed.setdefault(n, []).append(one.message)
            n += 1
        else:
            position = start
        position += len(line.after)
    return blamed


def _most_tokens(source: str) -> int:
    """Return the most tokens that a translation may need: one for each character of the source, four for each ideograph."""
    ideographs = 0 if source.isascii() else sum(character >= "\u2e80" for character in source)
    return len(source) + 3 * ideographs


def _target(n: int, line: Segment, prompt: Prompt, answer: Completion) -> tuple[str, list[str]]:
    """Return the translation of a line's words, on one line, and the parts around the translation that were removed.

    A label or quotes that the source has too are part of the translation. If the first paragraph may be the whole
    translation, the other paragraphs count as remarks. An answer that ended at max_tokens is cut to as many sentences as the
    source has. Raises CheckFailed if the answer is empty, or if it ended at max_tokens with fewer sentences.
    """
    source = line.words
    original, draft = Original(source), Draft(answer.text)
    if not FENCE.match(source):
        draft.drop_fence()
    draft.drop_announcement(original, TRANSLATION)
    if not FENCE.match(source):
        draft.drop_fence()
        draft.drop_json(original, TRANSLATION)
    _drop_repeated_source(draft, source)
    _drop_remarks(draft, original, Brief(source), prompt)
    draft.drop_around(original, TRANSLATION)
    if _drop_repeated_marks(draft, line.before):
        draft.drop_around(original, TRANSLATION)
    if _ADDED_MARK.match(draft.text):
        draft.drop_mark(original)
    if not draft.text:
        raise CheckFailed("empty_output", f"the translation of segment {n} is empty", field="text")
    if answer.finish_reason == "length":
        count, found = sentence_count(source), sentences(draft.text)
        if len(found) < count:
            raise CheckFailed("output_incomplete", f"the translation of segment {n} was cut off", field="text")
        target = " ".join(found[:count])
        draft.note(" ".join(found[count:]) + draft.text[whole_length(draft.text) :])
        draft.text = target
    return draft.text, draft.removed


def _drop_repeated_marks(draft: Draft, before: str) -> bool:
    """Remove marks that repeat the line's own beginning, as in `1. One` after `1. `. Return whether there were any.

    The model sees only the words of the line, and may write the mark of a list again.
    """
    forms = [rf"\(?0*{number}(?:\\?[.):]|[\u3001\uff0e])(?!\d)\s*" for number in _NUMBERS.findall(before)]
    forms += [r"[-*+\u2022]\s+(?=\[[ xX]\]|\S)"] if set("-*+").intersection(before) else []
    forms += [rf"\{sign}+\s*" for sign in "#>" if sign in before]
    forms += [r"\[[ xX]\]\s+"] if "[" in before else []
    if not forms or (found := re.match(f"(?:{'|'.join(forms)})+", draft.text)) is None:
        return False
    if not any(map(str.isalnum, draft.text[found.end() :])):
        return False
    draft.cut_to(draft.text[found.end() :])
    return True


def _drop_repeated_source(draft: Draft, source: str) -> None:
    """If a line is labelled as the translation, and the lines before it repeat the source, take off these lines."""
    lines = draft.text.splitlines()
    starts = (n for n, line in enumerate(lines) if n and label(TRANSLATION).match(line))
    start = next(starts, 0)
    before, after = "\n".join(lines[:start]), "\n".join(lines[start:])
    if start and key_of(before).endswith(key_of(source)) and key_of(after) and key_of(source):
        draft.cut_to(after)


def _drop_remarks(draft: Draft, original: Original, brief: Brief, prompt: Prompt) -> None:
    """Join the paragraphs to one line. Paragraphs that only introduce the translation, and remarks after the translation, are
    taken off.
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", draft.text) if part.strip()]
    while len(paragraphs) > 1:
        first, rest = paragraphs[0], " ".join(paragraphs[1:])
        if not (
            brief.repeats(first, prompt) or original.is_introduced_by(first, rest) or _is_label(first, rest, original)
        ):
            break
        draft.note(paragraphs.pop(0))
    if len(paragraphs) > 1 and original.covered_by(*paragraphs[:2]):
        for remark in paragraphs[1:]:
            draft.note(remark)
        paragraphs = paragraphs[:1]
    draft.text = " ".join(paragraphs)


def _is_label(first: str, rest: str, original: Original) -> bool:
    """Whether the first paragraph is only a label (`Translation`) that the source does not have."""
    first = f"{first.strip(':')}:"
    return label(TRANSLATION).fullmatch(first) is not None and not original.explains(first, rest, TRANSLATION)
