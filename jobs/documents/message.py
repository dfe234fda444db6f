"""Slots of messages: what the formats of catalogues do alike with a text in its place."""

from collections.abc import Callable, Sequence

from jobs.documents.document import Segment, Slot, State
from jobs.documents.marks.building import has_words
from jobs.documents.marks.grammar import find_marks
from jobs.documents.marks.masking import Damaged, check_kept
from jobs.documents.source import Options


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


def message(
    name: str, text: str, options: Options, *, kind: str = "message", context: str = "", has_tags: bool = True
) -> Segment | None:
    """Return the segment of a message that stands in the place of its translation; None if it has no words."""
    marks = find_marks(text, language=options.source_language, has_tags=has_tags)
    return Segment(name, text, kind, marks, context) if has_words(text, marks) else None
