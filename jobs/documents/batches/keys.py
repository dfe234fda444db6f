"""Keys: which segments are one row, and the custom_id of the row.

Segments with the same text, marks, context, language and limit have the same key, so a batch sends them once. The key of a
segment is worked out again when the translated file is written, so nothing else says which row belongs to which segment.
"""

import hashlib
from typing import Final

import orjson

from jobs.documents.document import Segment

KEY: Final = "key"
"""The field of a row's metadata that holds its key, in hex."""

MOST_CHARACTERS: Final = 256
"""A custom_id has at most this many characters."""

_DIGITS: Final = 12


def key_of(segment: Segment, language: str) -> bytes:
    """Return the key of a segment in a target language: 16 bytes."""
    marks = [(mark.start, mark.end, mark.role) for mark in segment.marks]
    whole = orjson.dumps([segment.text, marks, segment.context, language, segment.most])
    return hashlib.blake2b(whole, digest_size=16).digest()


def custom_id_of(name: str, language: str, segment_id: str) -> str:
    """Return the custom_id of the row of a segment: `messages.po:fr:12`.

    One that is long, or might be read as that of another segment, is cut and ends in a hash.
    """
    whole = "".join(sign if sign.isprintable() else "\ufffd" for sign in f"{name}:{language}:{segment_id}")
    if len(whole) <= MOST_CHARACTERS and segment_id.isprintable() and ":" not in name:
        return whole
    parts = orjson.dumps([name, language, segment_id])
    digest = hashlib.blake2b(parts, digest_size=_DIGITS // 2).hexdigest()
    return f"{whole[: MOST_CHARACTERS - _DIGITS - 1]}~{digest}"
