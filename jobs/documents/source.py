"""A source: an open document as text, in the encoding in which it is written.

The encoding is taken from the byte order mark, or from the options, or from what the file says of itself in its first 1,024 bytes
(the declaration of XML, `<meta charset>`, `Content-Type` of a gettext catalogue), else it is UTF-8. Line ends and the byte order
mark stay as they are. A ZIP archive, which some formats are, is read as one character for each byte.
"""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, Final

from jobs.errors import DocumentError

MAX_WHOLE_BYTES: Final = 64 << 20
"""A document whose format cannot be read in parts may have this many bytes."""

HEAD_BYTES: Final = 1024
ZIP_SIGN: Final = b"PK\x03\x04"
"""How a ZIP archive begins."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(
    rb"""<\?xml[^>]{0,100}?\bencoding\s*=\s*["']([\w.:-]{1,40})|<meta[^>]{0,200}?\bcharset\s*=\s*["']?([\w.:-]{1,40})|"""
    rb"""^"Content-Type:[^"\n]{0,100}?charset=([\w.:-]{1,40})""",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Columns:
    """The headers of the columns of a string table, where its own headers do not tell them.

    `targets` are pairs of a language and the header of its column. A target language that has no column gets one at the end of
    the table if `appends` is true; else it is an error.
    """

    source: str | None = None
    targets: tuple[tuple[str, str], ...] = ()
    key: str | None = None
    context: str | None = None
    most: str | None = None
    appends: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader is told.

    The languages are BCP 47 tags: `target_language` where a file has one language, `target_languages` where it holds several.
    `encoding` is that of the file; None for the one that the file names, else UTF-8. `fields` are the fields of front matter
    that hold text.
    """

    source_language: str | None = None
    target_language: str | None = None
    target_languages: tuple[str, ...] = ()
    encoding: str | None = None
    columns: Columns = Columns()
    fields: frozenset[str] = frozenset(
        {
            "title",
            "description",
            "summary",
            "subtitle",
            "excerpt",
            "caption",
            "linktitle",
            "lead",
            "abstract",
            "tagline",
        }
    )

    @property
    def languages(self) -> tuple[str, ...]:
        """The target languages of a format that holds languages: `target_languages`, or `target_language` alone."""
        alone = (self.target_language,) if self.target_language else ()
        return tuple(dict.fromkeys(self.target_languages or alone))


NO_OPTIONS: Final = Options()


@dataclass
class Source:
    """An open document. `name` is the name of its file, for messages; `file` is read from its beginning, once."""

    file: BinaryIO
    name: str = "the document"
    options: Options = NO_OPTIONS
    _head: bytes = field(default=b"", init=False)

    @cached_property
    def mark(self) -> str:
        """The byte order mark of the file as text, or an empty text."""
        return "\ufeff" if any(self._first.startswith(mark) for mark, _ in _MARKS) else ""

    @cached_property
    def encoding(self) -> str:
        """The encoding of the file. Raises DocumentError if the file names one that Python does not know."""
        head, given = self._first, self.options.encoding
        if self.is_archive:
            return "latin-1"
        if marked := next((name for mark, name in _MARKS if head.startswith(mark)), None):
            return marked
        declared = _DECLARED.search(head)
        if given or declared is None:
            is_wide = head.startswith((b"<\0", b"{\0")) or (head[:4:2].isalnum() and head[1:4:2] == b"\0\0")
            return self._known(given).name if given else "utf-16-le" if is_wide else "utf-8"
        name = next(group for group in declared.groups() if group).decode()
        if name.upper() == "CHARSET":  # a template of gettext, whose encoding is not set yet
            return "utf-8"
        info = self._known(name)
        return "cp1252" if info.name in ("iso8859-1", "ascii") and not head.isascii() else info.name

    def _known(self, name: str) -> codecs.CodecInfo:
        """Return the encoding of this name. Raises DocumentError if Python does not know it, or it is none of text."""
        try:
            info = codecs.lookup(name)
        except LookupError:
            raise self.error(f"the encoding {name!r} is not known", "save it as UTF-8") from None
        if not getattr(info, "_is_text_encoding", True) or info.name in ("idna", "punycode", "unicode_escape"):
            raise self.error(f"{name!r} is not an encoding of text", "save it as UTF-8")
        return info

    @property
    def is_archive(self) -> bool:
        """Whether the file is a ZIP archive."""
        return self._first.startswith(ZIP_SIGN)

    @property
    def _first(self) -> bytes:
        if not self._head:
            self._head = self.file.read(HEAD_BYTES)
        return self._head

    def text(self) -> str:
        """Return the whole text, without the byte order mark.

        Raises:
            DocumentError: The document is too large to be read at once, or is not text in its encoding.
        """
        data = self._first + self.file.read(MAX_WHOLE_BYTES + 1)
        if len(data) > MAX_WHOLE_BYTES:
            raise self.error(f"it has more than {MAX_WHOLE_BYTES >> 20} MiB", "split it")
        if b"\0" in data[:HEAD_BYTES] and self.encoding == "utf-8":
            raise self.error("it holds binary data", "give a text file")
        try:
            return data.decode(self.encoding).removeprefix(self.mark)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self.error(f"it is not valid {self.encoding}", "save it as UTF-8", line) from None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line with its number, counted from 1, and with its line end. The first has no byte order mark.

        Raises:
            DocumentError: A line is not text in the encoding of the document, or is longer than 4 MiB.
        """
        encoding, number, data = self.encoding, 0, self._first
        reader = io.TextIOWrapper(io.BufferedReader(_Rest(data, self.file)), encoding, "surrogateescape", newline="")
        try:
            while True:
                line = reader.readline(MAX_LINE)
                if not line:
                    return
                if not number:
                    line = line.removeprefix(self.mark)
                number += 1
                if len(line) >= MAX_LINE:
                    raise self.error("a line is longer than 4 MiB", "break it into lines", number)
                if "\0" in line:
                    raise self.error("it holds binary data", "give a text file", number)
                if not line.isascii() and _UNDECODED.search(line):
                    raise self.error(f"it is not valid {encoding}", "save it as UTF-8", number)
                yield number, line
        except UnicodeDecodeError:
            raise self.error(f"it is not valid {encoding}", "save it as UTF-8", number + 1) from None

    def error(self, what: str, remedy: str, line: int | None = None) -> DocumentError:
        """Return an error that names the file, the line and the remedy."""
        return DocumentError(self.name, what, remedy, line)

    def encode(self, text: str, line: int = 0) -> bytes:
        """Return a part of the document as bytes. Raises DocumentError if the encoding lacks a character."""
        try:
            return text.encode(self.encoding)
        except UnicodeEncodeError as error:
            lacking = error.object[error.start]
            raise self.error(
                f"{self.encoding} has no {lacking!r}, which a translation holds", "save it as UTF-8", line or None
            ) from None


MAX_LINE: Final = 4 << 20
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
"""Matches a byte that the encoding of a file has not."""


class _Rest(io.RawIOBase):
    """A file after its head was read: the head first, then what the file has left."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] or self._file.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(data)] = data
        return len(data)
