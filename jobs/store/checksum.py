"""A checksum at the end of a JSON object, so that bytes which are damaged into other JSON are noticed.

It is the object's last member: `{"row":0}` becomes `{"row":0,"crc32":"5fe3d232"}`, the CRC-32 of all before the comma. An
object without one was written by an earlier release, and is taken as it is. What has the member anywhere else, or in another
form, keeps it: who reads the object finds a member that it does not know.
"""

import zlib
from typing import Final

_OPENS: Final = b',"crc32":"'
_ENDS: Final = b'"}'
_DIGITS: Final = 8
_LENGTH: Final = len(_OPENS) + _DIGITS + len(_ENDS)


def with_checksum(text: bytes) -> bytes:
    """An object that is not empty, with its checksum."""
    body = text[:-1]
    return b"%b%b%08x%b" % (body, _OPENS, zlib.crc32(body), _ENDS)


def without_checksum(text: bytes) -> bytes:
    """The object without its checksum. Raises ValueError when that is not the one of these bytes."""
    text = text.rstrip(b"\n")
    if not (text.endswith(_ENDS) and text.startswith(_OPENS, max(0, len(text) - _LENGTH))):
        return text
    body = text[:-_LENGTH]
    if zlib.crc32(body) != int(text[-_DIGITS - len(_ENDS) : -len(_ENDS)], 16):
        raise ValueError("its checksum is that of another text")
    return body + b"}"
