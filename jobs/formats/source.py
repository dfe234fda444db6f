"""A source: reads any input as a binary file of UTF-8 lines.

This module opens a path, a URL or standard input. It recognises gzip and Zstandard by their first bytes and decompresses them,
even if one is inside the other. It recognises UTF-16 by a byte order mark, or by NULs among the first characters, and turns the
text into UTF-8. It holds one buffer in memory, never a whole file.

A small file can unpack to any size, so a file is read within `InputLimits`, which come from the settings.

A damaged archive is an error of the file. A damaged character stays invalid, so that only its row fails.
"""

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from jobs.errors import RequestError
from jobs.settings import PREFIX, Settings
from jobs.urls import redacted

SAMPLE_BYTES: Final = 1 << 16
"""The size of a buffer in bytes. The format of a file is recognised by at most this many of its first bytes."""

RATIO_COUNTS_FROM: Final = 16 << 20
"""Bytes. An input that unpacks to fewer bytes may have any ratio."""

LEAST_PART: Final = 16
"""A compressed stream may not be this many times longer than its content: it would consist of empty archives."""

EMPTY_BYTES: Final = 1 << 20
"""A compressed stream may be this many bytes longer than `LEAST_PART` allows."""

_DAMAGED: Final = "nightpress-damaged"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPED: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""Matches the beginning of a frame of Zstandard that holds no data. `pzstd` writes one first."""


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that cannot be decoded by a lone surrogate. A lone surrogate in UTF-8 is invalid, so the row is refused."""
    return "\udcff", cast("UnicodeDecodeError", error).end


codecs.register_error(_DAMAGED, _mark_damage)


@dataclass(frozen=True, slots=True)
class InputLimits:
    """The most that an input may hold: each limit is the setting of its name with `input_` before it.

    `name` is the name of the file in messages.
    """

    name: str
    layers: int
    ratio: int
    bytes: int
    rows: int
    line_bytes: int

    @classmethod
    def of(cls, settings: Settings, file: object) -> "InputLimits":
        """Return the limits that the settings set for this open file."""
        name = getattr(file, "name", None)
        return cls(
            name if isinstance(name, str) else "the input",
            settings.input_layers,
            settings.input_ratio,
            settings.input_bytes,
            settings.input_rows,
            settings.input_line_bytes,
        )

    def passed(self, setting: str, what: str, remedy: str) -> RequestError:
        """Return the error for a file that passes the limit of this setting. `what` says how the file passes it."""
        raise_it = f"raise the setting {setting} ({PREFIX}{setting.upper()})"
        return RequestError(f"{self.name}: it {what}: {remedy}, or {raise_it}; nothing was accepted")


class InputReader(io.BufferedReader):
    """The text of an input, with the limits that readers of its lines must keep."""

    def __init__(self, read: Callable[[int], bytes], limits: InputLimits) -> None:
        super().__init__(_Filled(read, limits.name), SAMPLE_BYTES)
        self.limits = limits


def limits_of(file: object) -> InputLimits | None:
    """Return the limits of an input; None for a file that was not opened as an input."""
    return file.limits if isinstance(file, InputReader) else None


@contextmanager
def open_source(source: Path | str, options: Mapping[str, str]) -> Iterator[io.BufferedReader]:
    """Open a path, an fsspec URL (with these options of its file system), or `-` for standard input.

    Raises:
        RequestError: The file cannot be opened.
        StoreUnavailable: The URL cannot be read.
    """
    text = str(source)
    if text == "-":
        if sys.stdin is None:  # it was closed before the program started (`<&-`)
            raise RequestError("cannot read standard input: it is closed")
        yield _buffered(sys.stdin.buffer.read, "standard input")
    elif "://" in text:
        from jobs.store.remote_files import open_url

        with open_url(text, options) as file:
            yield _buffered(file.read, redacted(text))
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
def decompressed(file: BinaryIO, limits: InputLimits) -> Iterator[InputReader]:
    """Yield the file decompressed and as UTF-8.

    Raises RequestError if an archive is damaged or cut off, or passes a limit. Reading the file raises this error too.
    """
    packed = stream = _Stream(file.read, limits)
    with ExitStack() as layers:
        try:
            while (unpacked := _unpacked(stream)) is not None:
                if stream.depth == limits.layers:
                    times = f"{limits.layers} time{'s' * (limits.layers != 1)}"
                    raise limits.passed("input_layers", f"is compressed more than {times}", "unpack it")
                stream = _Stream(layers.enter_context(unpacked).read, limits, packed, stream)
            encoding = _utf16(peek(stream.head, 256))
            yield InputReader(stream.read if encoding is None else _Transcoded(stream.read, encoding).read, limits)
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else "it is cut off"
            remedy = "compress it again, without --long" if "memory" in reason else "copy it again"
            raise RequestError(
                f"{limits.name}: the compressed input is damaged or cut off ({reason}): {remedy}; nothing was accepted"
            ) from None


def peek(reader: BinaryIO, size: int = SAMPLE_BYTES) -> bytes:
    """Return the next bytes, at most one buffer; the next read returns them again."""
    return cast("io.BufferedReader", reader).peek(size)[:size]


def replacing(reader: BinaryIO, old: bytes, new: bytes) -> io.BufferedReader:
    """Return a file of the same bytes, with each byte `old` replaced by `new`."""
    limits = limits_of(reader)

    def read(size: int) -> bytes:
        return reader.read(size).replace(old, new)

    return _buffered(read) if limits is None else InputReader(read, limits)


class _Filled(io.RawIOBase):
    """A raw stream that fills each buffer to its end. A read from a pipe may return fewer bytes, so without this class a peek
    might see half a line.
    """

    def __init__(self, read: Callable[[int], bytes], name: str | None) -> None:
        self._read = read
        self.name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view, filled = memoryview(buffer), 0
        while filled < len(view) and (piece := self._read(len(view) - filled)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled


class _Stream:
    """A stream of an input: the file itself, or the content of a layer of compression. It counts its bytes, and enforces the
    limits.

    Args:
        read: Reads the bytes of the stream.
        limits: The limits of the input.
        packed: The file itself, if this stream was unpacked from it.
        within: The compressed stream that holds this one.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        limits: InputLimits,
        packed: "_Stream | None" = None,
        within: "_Stream | None" = None,
    ) -> None:
        self.head = _buffered(read)
        self.depth: int = 0 if within is None else within.depth + 1
        self.bytes = 0
        self._limits = limits
        self._packed = packed
        self.held: _Stream | None = None
        if within is not None:
            within.held = self

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes. Raises RequestError if the stream passes a limit, or if its compressed form holds almost
        nothing.
        """
        piece = self.head.read(size)
        self.bytes += len(piece)
        whole, limits = self.bytes, self._limits
        if whole > limits.bytes:
            raise limits.passed("input_bytes", f"holds more than {limits.bytes:,} bytes", "split it")
        if self._packed is not None and whole > RATIO_COUNTS_FROM and whole > limits.ratio * self._packed.bytes:
            what = f"unpacks to more than {limits.ratio:,} times its size"
            raise limits.passed("input_ratio", what, "unpack it yourself")
        if self.held is not None and whole > LEAST_PART * self.held.bytes + EMPTY_BYTES:
            raise RequestError(
                f"{limits.name}: it is compressed, and holds next to nothing: unpack it yourself; nothing was accepted"
            )
        return piece


class _Transcoded:
    """Decodes a stream whose encoding is not UTF-8, piece by piece, and gives its text as UTF-8 bytes."""

    def __init__(self, read: Callable[[int], bytes], encoding: str) -> None:
        self._read = read
        self._decoder = codecs.getincrementaldecoder(encoding)(_DAMAGED)
        self._ready = b""

    def read(self, size: int) -> bytes:
        while not self._ready:
            piece = self._read(SAMPLE_BYTES)
            self._ready = self._decoder.decode(piece, final=not piece).encode("utf-8", "surrogatepass")
            if not piece:
                break
        given, self._ready = self._ready[:size], self._ready[size:]
        return given


def _buffered(read: Callable[[int], bytes], name: str | None = None) -> io.BufferedReader:
    return io.BufferedReader(_Filled(read, name), SAMPLE_BYTES)


def _unpacked(stream: _Stream) -> gzip.GzipFile | zstd.ZstdFile | None:
    """Return the file inside a compressed stream; None if the stream is not compressed."""
    head = peek(stream.head, 4)
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=cast("BinaryIO", stream), mode="rb")
    if head == _ZSTD or _SKIPPED.match(head):
        return zstd.ZstdFile(cast("BinaryIO", stream))
    return None


def _utf16(head: bytes) -> str | None:
    """Return the encoding of text in UTF-16, else None. Without a byte order mark, NULs in every other byte show UTF-16."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) < 4 or max(even, odd) * 10 < len(head) * 4 or min(even, odd) * 10 > len(head):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
