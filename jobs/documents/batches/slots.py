"""Writes a document slot by slot. A text that cannot stand in its slot stays out, and the rest of the document is written.

`jobs/documents/rebuilding.py` does the same for one caller's translations, and stops at the first fault.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from jobs.documents.document import DocumentFormat, Segment, Slot
from jobs.documents.source import Source
from jobs.errors import DocumentError
from jobs.marks.damage import Damaged

DAMAGED: Final = "damaged_translation"
"""The code of a text that lost a mark, is empty, or otherwise cannot stand in the document."""

UNENCODABLE: Final = "not_in_encoding"
"""The code of a text with a character that the encoding of the document lacks."""

Texts = Callable[[Sequence[Segment], int], Sequence[str | None]]
"""Returns a text for each segment of a slot that begins in a line, or None for a segment that stays as it is."""

Fault = Callable[[Segment, int, str, str], None]
"""Is told of a text that stays out: the segment, the line of its slot, a code, and what is wrong as a clause."""


def write_slots(form: DocumentFormat, source: Source, texts: Texts, on_fault: Fault, out: BinaryIO) -> int:
    """Write a document with texts in place of its segments. Returns how many texts were written.

    All bytes outside the slots of these segments are those of the source.

    Raises:
        DocumentError: The document cannot be read.
    """
    count = 0
    out.write(source.encode(source.mark))
    for piece in form.pieces(source):
        if isinstance(piece, str):
            out.write(source.encode(piece))
            continue
        given = texts(piece.segments, piece.line) if piece.segments else ()
        if piece.segments and all(text is None for text in given):
            out.write(source.encode(piece.raw))
            continue
        data, kept = _written(piece, given, source, on_fault)
        out.write(data)
        count += kept
    return count


def _written(slot: Slot, texts: Sequence[str | None], source: Source, on_fault: Fault) -> tuple[bytes, int]:
    """Return the bytes of a slot, and how many of the texts are in it.

    If a text is at fault, halves of the texts are tried, and their halves, and those that can stand there are written together.
    """
    try:
        return source.encode(slot.write(texts)), sum(text is not None for text in texts)
    except (Damaged, DocumentError) as error:
        first = error
    left = list(texts)
    given = [n for n, text in enumerate(texts) if text is not None]
    if not is_one_message(slot.segments):
        for n, fault in _faults(slot, texts, given, source):
            on_fault(slot.segments[n], slot.line, *fault)
            left[n] = None
        given = [n for n in given if left[n] is not None]
        if not given:
            return source.encode(slot.raw), 0
        if _fault(slot, left, source) is None:
            return source.encode(slot.write(left)), len(given)
    for n in given:
        on_fault(slot.segments[n], slot.line, *_told(first))
    return source.encode(slot.raw), 0


def _faults(
    slot: Slot, texts: Sequence[str | None], tried: Sequence[int], source: Source
) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield each of the texts `tried` that cannot stand in the slot, by its number, with the code and what is wrong.

    A workbook is one slot with all its cells, so halves are tried: a few writes for each fault, and not one for each text.
    """
    chosen = set(tried)
    fault = _fault(slot, [text if n in chosen else None for n, text in enumerate(texts)], source)
    if fault is None:
        return
    if len(tried) == 1:
        yield tried[0], fault
        return
    middle = len(tried) // 2
    for half in (tried[:middle], tried[middle:]):
        yield from _faults(slot, texts, half, source)


def _fault(slot: Slot, texts: Sequence[str | None], source: Source) -> tuple[str, str] | None:
    try:
        source.encode(slot.write(texts))
    except (Damaged, DocumentError) as error:
        return _told(error)
    return None


def _told(error: Exception) -> tuple[str, str]:
    """Return the code of a fault, and what is wrong. A slot raises DocumentError only for a character that cannot be encoded."""
    if isinstance(error, Damaged):
        return DAMAGED, str(error)
    return UNENCODABLE, str(error)


def is_one_message(segments: Sequence[Segment]) -> bool:
    """Whether the segments are the forms of one message, which are written together or not at all."""
    return len(segments) > 1 and all(one.kind.startswith(("plural", "form")) for one in segments)
