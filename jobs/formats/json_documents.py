"""JSON documents: cuts a JSON array of rows, or objects that are written over several lines, into the bytes of each row.

This module only looks at brackets and quotes to find the end of a row, and does not parse. Each row is then checked like a line
of JSON Lines (`json_lines.py`), and a bad row harms no other. It holds one row at a time. A parser such as ijson would yield
values in place of bytes, and end at the first fault.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from jobs.errors import RequestError
from jobs.formats.json_lines import BOM, MAX_ROW_BYTES, is_object
from jobs.formats.source import limits_of

READ_BYTES: Final = 1 << 16
"""The file is read in pieces of this many bytes."""

_BETWEEN: Final = b" \t\r\n,\x1e"
"""The characters that may stand between two rows: blanks, the comma of an array, the record separator of JSON text sequences
(RFC 7464).
"""
_NEXT_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]])', re.DOTALL)
_TEXTS: Final = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_END_OF_TEXT: Final = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ARRAY: Final = re.compile(rb"\s*\[\s*(?:[{\]]|$)")
_OVER_LINES: Final = re.compile(rb'\s*\{[ \t]*\r?\n\s*"')


def are_documents(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an array of objects, or has objects over several lines."""
    head = head.removeprefix(BOM)
    if _ARRAY.match(head):
        return True
    if _OVER_LINES.match(head):
        # An object on one line may follow a line with a brace alone. In that case the first brace is never closed.
        first = next(_Cutter().cut(head), None)
        return first is None or is_object(first[1])
    return _spreads(head)


def _spreads(head: bytes) -> bool:
    """Whether the first value is an object that spreads over lines, none of which is an object by itself."""
    if not head.lstrip().startswith(b"{"):
        return False
    first = next(_Cutter().cut(head), None)
    return first is not None and b"\n" in first[1].strip() and is_object(first[1])


def documents(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of each row with the number of its first line.

    Raises RequestError if a row is never closed, or if an input has more rows than its limits allow.

    If a row is longer than MAX_ROW_BYTES, only a little more than this many of its bytes are yielded; the row is then refused.
    """
    limits = limits_of(file)
    for number, row in enumerate(_cut(file), start=1):
        if limits is not None and number > limits.rows:
            raise limits.passed("input_rows", f"has more than {limits.rows:,} rows", "split it")
        yield row


def _cut(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    cutter = _Cutter()
    while piece := file.read(READ_BYTES):
        yield from cutter.cut(piece)
    yield from cutter.end()


class _Cutter:
    """Cuts a file into rows, piece by piece. The fields hold the state at the end of the last piece.

    `_depth` counts the open brackets, without the array's own. `_row` holds the row that is not closed yet, and `_loose` the
    text after the last row.
    """

    def __init__(self) -> None:
        self._line = 1
        self._began = 1
        self._row = b""
        self._loose = bytearray()
        self._loose_line = 1
        self._depth = 0
        self._is_array: bool | None = None  # None: neither a row nor an array has begun
        self._in_text = False
        self._skip = 0  # 1 if the last piece ended in a backslash, which escapes the next byte

    def cut(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the rows that end in this piece."""
        kept = 0
        for sign, at in self._brackets(piece):
            if self._depth and sign in b"{[":
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if not self._depth:
                    self._keep(piece[kept : at + 1])
                    yield self._began, self._row
                    self._row, kept = b"", at + 1
            else:
                self._between(piece[kept:at])
                if self._loose:
                    yield from self._taken_loose()
                kept = self._begin(sign, at)
        (self._keep if self._depth else self._between)(piece[kept:])

    def _brackets(self, piece: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield each bracket of a piece, with its place. Brackets in texts are left out."""
        at, self._skip = self._skip, 0
        while True:
            if self._in_text:
                end = _END_OF_TEXT.match(piece, at)
                if end is None:
                    rest = piece[at:]
                    self._skip = (len(rest) - len(rest.rstrip(b"\\"))) % 2
                    return
                at, self._in_text = end.end(), False
            elif (found := _NEXT_BRACKET.match(piece, at)) is not None:
                at = found.end()
                yield found[1], at - 1
            else:  # no further bracket, except in a text that does not end in this piece
                at = _TEXTS.match(piece, at).end()  # type: ignore[union-attr]
                if at == len(piece):
                    return
                at, self._in_text = at + 1, True

    def _begin(self, sign: bytes, at: int) -> int:
        """Begin a row or an array, or end the array, at a bracket. Returns the place from which on the piece is not taken in
        yet.
        """
        if sign == b"[" and self._is_array is None:
            self._is_array = True
            return at + 1
        if sign == b"]" and self._is_array:
            self._is_array = None  # another array may follow
            return at + 1
        if sign in b"{[":
            self._is_array = bool(self._is_array)
            self._began, self._depth = self._line, 1
        return at

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yield what is left at the end of the file. Raises RequestError if a row is not closed."""
        if self._depth or self._in_text or self._is_array:
            began = f"value that begins in line {self._began}" if self._depth else "array"
            raise RequestError(
                f"the JSON {began} is never closed: the file is cut off, or a quote or bracket is missing there;"
                " nothing was accepted"
            )
        yield from self._taken_loose()

    def _keep(self, part: bytes) -> None:
        self._line += part.count(b"\n")
        self._row += part[: MAX_ROW_BYTES + 1 - len(self._row)] if len(self._row) <= MAX_ROW_BYTES else b""

    def _between(self, part: bytes) -> None:
        """Take in text that stands between rows."""
        if not self._loose:
            left = part.lstrip(_BETWEEN)
            self._line += part[: len(part) - len(left)].count(b"\n")
            self._loose_line, part = self._line, left
        self._line += part.count(b"\n")
        self._loose += part[: MAX_ROW_BYTES + 1 - len(self._loose)] if len(self._loose) <= MAX_ROW_BYTES else b""

    def _taken_loose(self) -> Iterator[tuple[int, bytes]]:
        """Yield the text between two rows as a row, which is refused later. If only commas and blanks stand there, yield
        nothing.
        """
        text = bytes(self._loose).replace(BOM, b"").strip(_BETWEEN)
        self._loose.clear()
        if text:
            yield self._loose_line, text
