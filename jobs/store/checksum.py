"""A checksum at the end of a JSON object shows damage that has turned the object into other valid JSON.

The checksum is the last member of the object: `{"row":0}` becomes `{"row":0,"crc32":"5fe3d232"}`, where the number is the
CRC-32 of all bytes before the comma.
"""

import zlib
from typing import Final

_OPENS: Final = b',"crc32":"'
_ENDS: Final = b'"}'
_DIGITS: Final = 8
_LENGTH: Final = len(_OPENS) + _DIGITS + len(_ENDS)


def with_checksum(text: bytes) -> bytes:
    """Return a JSON object with its checksum added. The object must not be empty."""
    body = text[:-1]
    return b"%b%b%08x%b" % (body, _OPENS, zlib.crc32(body), _ENDS)


def without_checksum(text: bytes) -> bytes:
    """Check the checksum of a line, and return the JSON object without it. Raises ValueError if it is missing or wrong."""
    text = text.rstrip(b"\n")
    if not (text.endswith(_ENDS) and text.startswith(_OPENS, max(0, len(text) - _LENGTH))):
        raise ValueError("the checksum is missing")
    body = text[:-_LENGTH]
    if zlib.crc32(body) != int(text[-_DIGITS - len(_ENDS) : -len(_ENDS)], 16):
        raise ValueError("the checksum does not match the text")
    return body + b"}"
