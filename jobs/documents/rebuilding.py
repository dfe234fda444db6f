"""Segments of a document, and the document with translations: what all formats do alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

from jobs.documents.document import DocumentFormat, Segment, Slot, State
from jobs.documents.source import NO_OPTIONS, Options, Source
from jobs.marks.damage import Damaged

_Key = str | tuple[str, str]
Translations = Mapping[str, str] | Mapping[tuple[str, str], str] | Mapping[_Key, str] | Callable[[Segment], str | None]
"""The translation of each segment by its id, or in a format that holds languages by its id and language; or a function that
returns it. None leaves the segment as it is.
"""


def segments(
    form: DocumentFormat,
    file: BinaryIO,
    name: str = "the document",
    options: Options = NO_OPTIONS,
    *,
    with_done: bool = False,
) -> Iterator[Segment]:
    """Yield the segments of a document that are not translated yet.

    Args:
        form: The format of the document.
        file: The document, open at its beginning.
        name: The name of the file, for messages.
        options: What the format is told.
        with_done: Whether to yield what is translated too.

    Raises:
        DocumentError: The document cannot be read.
    """
    for piece in form.pieces(Source(file, name, options)):
        if isinstance(piece, Slot):
            yield from (one for one in piece.segments if with_done or one.state is not State.DONE)


def rebuild(
    form: DocumentFormat,
    file: BinaryIO,
    translations: Translations,
    out: BinaryIO,
    name: str = "the document",
    options: Options = NO_OPTIONS,
) -> int:
    """Write a document with translations in place of its segments. Returns how many segments were translated.

    All bytes outside the slots of translated segments are those of the source.

    Raises:
        DocumentError: The document cannot be read, a translation does not keep the marks of its segment, or the encoding of the
            document lacks a character of a translation.
    """
    get = (lambda one: translations.get(one.key)) if isinstance(translations, Mapping) else translations
    source, count = Source(file, name, options), 0
    out.write(source.encode(source.mark))
    for piece in form.pieces(source):
        if isinstance(piece, str):
            out.write(source.encode(piece))
            continue
        texts = [get(one) for one in piece.segments]
        given = sum(text is not None for text in texts)
        if piece.segments and not given:
            out.write(source.encode(piece.raw))
            continue
        count += given
        try:
            written = piece.write(texts)
        except Damaged as error:
            ids = _shown([one.id for one, text in zip(piece.segments, texts, strict=True) if text is not None])
            raise source.error(f"segment {ids}: {error}", "translate it again", piece.line or None) from None
        out.write(source.encode(written, piece.line))
    return count


def _shown(ids: Sequence[str]) -> str:
    """Return the names of segments, of a large slot some of them."""
    return ", ".join(ids[:12]) + (f" and {len(ids) - 12:,} more" if len(ids) > 12 else "")
