"""A source: reads any input as a binary file of UTF-8 lines.

This module opens a path, a URL or standard input. It recognises gzip and Zstandard by their first bytes and undoes them, even if
one is inside the other. It recognises UTF-16 by a byte order mark, or by NULs among the first characters, and turns the text into
UTF-8. It holds one buffer in memory, never a whole file.

A damaged archive is an error of the file. A damaged character stays invalid, so that only its row fails.
"""

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from jobs.errors import RequestError

SAMPLE_BYTES: Final = 1 << 16
"""The size of a buffer in bytes. The format of a file is found out from at most this many of its first bytes."""

_DAMAGED: Final = "nightpress-damaged"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that cannot be decoded by a lone surrogate. A lone surrogate in UTF-8 is invalid, so the row is refused."""
    return "\udcff", cast("UnicodeDecodeError", error).end


codecs.register_error(_DAMAGED, _mark_damage)


@contextmanager
def open_source(source: Path | str, options: Mapping[str, str]) -> Iterator[io.BufferedReader]:
    """Open a path, an fsspec URL (with these options of its file system), or `-` for standard input.

    Raises:
        RequestError: The file cannot be opened.
        StoreUnavailable: The URL cannot be read.
    """
    text = str(source)
    if text == "-":
        yield _buffered(sys.stdin.buffer.read)
    elif "://" in text:
        from jobs.store.remote_files import open_url

        with open_url(text, options) as file:
            yield _buffered(file.read)
    else:
        try:
            file = Path(source).open("rb")  # noqa: SIM115 - closed below; only a failure to open it is the request's fault
        except OSError as error:
            raise RequestError(f"cannot read {source}: {error.strerror or error}: check its name and rights") from None
        with file:
            yield file


def source_name(source: Path | str) -> str | None:
    """Return the name for a batch of this source: the file's name without suffixes. None for standard input."""
    if str(source) == "-":
        return None
    name = str(source).rpartition("/")[2]
    name = name.encode(errors="replace").decode()  # the name of a file need not be valid UTF-8
    for suffix in (".gz", ".zst", ".zstd"):
        name = name.removesuffix(suffix)
    return Path(name).stem


@contextmanager
def decompressed(file: BinaryIO) -> Iterator[io.BufferedReader]:
    """Yield the file decompressed and as UTF-8. Raises RequestError if an archive is damaged or cut off."""
    with ExitStack() as layers:
        reader = _buffered(file.read)
        try:
            while (inner := _unwrapped(reader)) is not None:
                reader = layers.enter_context(inner)
            yield _utf8(reader)
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
            reason = str(error).splitlines()[0] if str(error) else "it is cut off"
            raise RequestError(
                f"the compressed input is damaged or cut off ({reason}): copy it again; nothing was accepted"
            ) from None


def peek(reader: BinaryIO, size: int = SAMPLE_BYTES) -> bytes:
    """Return the next bytes, at most one buffer; the next read returns them again."""
    return cast("io.BufferedReader", reader).peek(size)[:size]


def replacing(reader: BinaryIO, old: bytes, new: bytes) -> io.BufferedReader:
    """Return a file of the same bytes, with each byte `old` replaced by `new`."""
    return _buffered(lambda size: reader.read(size).replace(old, new))


class _Filled(io.RawIOBase):
    """A raw stream that fills each buffer to its end. A read from a pipe may return fewer bytes, so without this class a peek
    might see half a line.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view, filled = memoryview(buffer), 0
        while filled < len(view) and (piece := self._read(len(view) - filled)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled


class _Transcoded:
    """Decodes a stream whose encoding is not UTF-8, piece by piece, and gives its text as UTF-8 bytes."""

    def __init__(self, reader: io.BufferedReader, encoding: str) -> None:
        self._reader = reader
        self._decoder = codecs.getincrementaldecoder(encoding)(_DAMAGED)
        self._ready = b""

    def read(self, size: int) -> bytes:
        while not self._ready:
            piece = self._reader.read(SAMPLE_BYTES)
            self._ready = self._decoder.decode(piece, final=not piece).encode("utf-8", "surrogatepass")
            if not piece:
                break
        given, self._ready = self._ready[:size], self._ready[size:]
        return given


def _buffered(read: Callable[[int], bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Filled(read), SAMPLE_BYTES)


def _unwrapped(reader: io.BufferedReader) -> io.BufferedReader | None:
    """Return the stream inside a compressed one; None if the stream is not compressed."""
    head = peek(reader, 4)
    if head.startswith(_GZIP):
        return _buffered(gzip.GzipFile(fileobj=reader).read)
    if head == _ZSTD:
        return _buffered(zstd.ZstdFile(reader).read)
    return None


def _utf8(reader: io.BufferedReader) -> io.BufferedReader:
    encoding = _utf16(peek(reader, 256))
    return reader if encoding is None else _buffered(_Transcoded(reader, encoding).read)


def _utf16(head: bytes) -> str | None:
    """Return the encoding of text in UTF-16, else None. Without a byte order mark, NULs in every other byte show UTF-16."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) < 4 or max(even, odd) * 10 < len(head) * 4 or min(even, odd) * 10 > len(head):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
