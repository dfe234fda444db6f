"""Slots of messages: what the formats of catalogues do alike with a text in its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from jobs.checks.signs.icu import IcuError, is_icu
from jobs.documents.catalogues.escapes import has_half
from jobs.documents.document import Segment, Slot, State
from jobs.documents.source import Options
from jobs.marks.building import has_words
from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.icu_messages import IcuSentences, TooManyForms
from jobs.marks.keeping import check_kept
from jobs.marks.mark import Mark


def message_slot(
    raw: str,
    segment: Segment | None,
    encode: Callable[[str], str],
    line: int = 0,
) -> str | Slot:
    """Return the slot of one segment, or the source itself if there is no segment.

    Args:
        raw: The source of the slot.
        segment: What is to be translated.
        encode: Returns a translation as the source of the slot. It may raise Damaged.
        line: The line of the source in which the slot begins.
    """
    if segment is None:
        return raw

    def write(texts: Sequence[str | None]) -> str:
        (text,) = texts
        if text is None or text == (segment.target if segment.state is not State.NEW else ""):
            return raw
        if text == segment.text and not segment.target and segment.kind != "unit":
            return raw
        if not text.strip():
            raise Damaged("the translation is empty")
        check_kept(text, segment.marks)
        return encode(text)

    return Slot(raw, (segment,), write, line)


@lru_cache(maxsize=64)
def _marks(text: str, language: str | None, has_tags: bool) -> tuple[Mark, ...]:
    """Return the marks of a text, which a table asks for once for each language."""
    return find_marks(text, language=language, has_tags=has_tags)


def message(
    name: str, text: str, options: Options, *, kind: str = "message", context: str = "", has_tags: bool = True
) -> Segment | None:
    """Return the segment of a message that stands in the place of its translation; None if it has no words, or half a letter."""
    if has_half(text):
        return None
    marks = _marks(text, options.source_language, has_tags)
    return Segment(name, text, kind, marks, context) if has_words(text, marks) else None


def message_piece(
    raw: str,
    name: str,
    text: str,
    options: Options,
    encode: Callable[[str], str],
    line: int = 0,
    context: str = "",
) -> str | Slot:
    """Return the slot of a message that stands in the place of its translation, or its source if it has no words.

    A message of ICU that chooses between forms has a segment for each of its sentences in the target language. If it is not
    valid, or has too many forms, it stays as it is.

    Args:
        raw: The source of the message.
        name: The name of its segment.
        text: What the source means.
        options: The languages.
        encode: Returns a text as source.
        line: The line of the source.
        context: What helps to translate it.
    """
    if has_half(text) or not is_icu(text):
        return message_slot(raw, message(name, text, options, context=context), encode, line)
    try:
        icu = IcuSentences(text, options.target_language, options.source_language)
    except (IcuError, TooManyForms):
        return raw
    worded = [one for one in icu.sentences if has_words(one.text, one.marks)]
    segments = tuple(Segment(f"{name}[{one.path}]", one.text, "form", one.marks, context) for one in worded)
    if not segments:
        return raw

    def write(texts: Sequence[str | None]) -> str:
        if all(text is None or text == one.text for one, text in zip(segments, texts, strict=True)):
            return raw
        if any(text is not None and not text.strip() for text in texts):
            raise Damaged("the translation is empty")
        given = iter(texts)
        chosen = [(next(given) if one in worded else None) or one.text for one in icu.sentences]
        return encode(icu.write(chosen))

    return Slot(raw, segments, write, line)


@dataclass(frozen=True, slots=True)
class Unit:
    """A text beside the place of its translation into one language, as a string table has it.

    `name` is the id of its segment, `target` the translation that the place has already, and `state` how far that counts.
    `language` is empty where a file has one target language, that of the options.
    """

    name: str
    text: str
    language: str
    target: str = ""
    state: State = State.NEW
    context: str = ""
    most: int | None = None


def unit_piece(raw: str, unit: Unit, options: Options, encode: Callable[[str], str], line: int = 0) -> str | Slot:
    """Return the slot of a unit, or its source if it has no words.

    A message of ICU that chooses between forms has a segment for each of its sentences in the target language. If it is not
    valid, or has too many forms, its place stays as it is.

    Args:
        raw: The source of the place of the translation.
        unit: The text and its place.
        options: The language of the text.
        encode: Returns a translation as the source of its place.
        line: The line of the source.
    """
    try:
        icu = _sentences(unit, options)
    except (IcuError, TooManyForms):
        return raw
    if icu is None:
        found = message(unit.name, unit.text, options, context=unit.context)
        segments: tuple[Segment, ...] = (_of_unit(found, unit, unit.target),) if found else ()
    else:
        worded = [one for one in icu.sentences if has_words(one.text, one.marks)]
        found_forms = (Segment(f"{unit.name}[{one.path}]", one.text, "form", one.marks, unit.context) for one in worded)
        segments = tuple(_of_unit(one, unit, "") for one in found_forms)
    if not segments:
        return raw

    def write(texts: Sequence[str | None]) -> str:
        if all(text is None for text in texts):
            return raw
        if any(text is not None and not text.strip() for text in texts):
            raise Damaged("the translation is empty")
        if icu is None:
            (text,) = texts
            made = text or ""
            check_kept(made, segments[0].marks)
        else:
            given = iter(texts)
            made = icu.write(
                [(next(given) if has_words(one.text, one.marks) else None) or one.text for one in icu.sentences]
            )
        return raw if made == unit.target and unit.state is not State.NEW else encode(made)

    return Slot(raw, segments, write, line)


def _sentences(unit: Unit, options: Options) -> IcuSentences | None:
    """Return the sentences of a message of ICU; None for other texts. Raises IcuError or TooManyForms for a bad one."""
    if has_half(unit.text) or not is_icu(unit.text):
        return None
    return IcuSentences(unit.text, unit.language or options.target_language, options.source_language)


def _of_unit(segment: Segment, unit: Unit, target: str) -> Segment:
    return replace(segment, target=target, state=unit.state, most=unit.most, language=unit.language)
