"""What the tests of documents share: reading and rebuilding a text."""

import io
from collections.abc import Mapping

from jobs.documents.document import DocumentFormat, Segment
from jobs.documents.rebuilding import Translations, rebuild, segments
from jobs.documents.source import NO_OPTIONS, Options, Source


def read(
    form: DocumentFormat, data: str | bytes, options: Options = NO_OPTIONS, *, with_done: bool = True
) -> list[Segment]:
    """The segments of a document. Its pieces must be the document, and the names of its segments must differ."""
    raw = data.encode() if isinstance(data, str) else data
    source = Source(io.BytesIO(raw), "file", options)
    pieces = [one if isinstance(one, str) else one.raw for one in form.pieces(source)]
    assert (source.mark + "".join(pieces)).encode(source.encoding) == raw
    found = list(segments(form, io.BytesIO(raw), "file", options, with_done=with_done))
    assert len({one.key for one in found}) == len(found)
    return found


def texts(form: DocumentFormat, data: str | bytes, options: Options = NO_OPTIONS) -> list[str]:
    """The texts of the segments of a document."""
    return [one.text for one in read(form, data, options)]


def translated(
    form: DocumentFormat, data: str | bytes, translations: Translations, options: Options = NO_OPTIONS
) -> bytes:
    """A document with translations, which are given by the key of a segment, its id or its text."""
    raw = data.encode() if isinstance(data, str) else data
    out = io.BytesIO()

    def get(segment: Segment) -> str | None:
        assert isinstance(translations, Mapping)
        keys = (segment.key, segment.id, segment.text)
        return next((translations[one] for one in keys if one in translations), None)  # type: ignore[index]

    rebuild(form, io.BytesIO(raw), get if isinstance(translations, Mapping) else translations, out, "file", options)
    return out.getvalue()
