"""Glossary files: reads a file of terms, whatever its format, and refuses one that is not valid.

A file is a table (`tables.py`) or TBX (`jobs/exchange/tbx.py`); its first signs tell which. Its encoding is that of its byte
order mark, else UTF-8; TBX may declare another.
"""

import codecs
import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from jobs.errors import DocumentError, RequestError
from jobs.exchange.tbx import TermStatus, read_tbx
from jobs.terms.cleaning import cleaned, shown
from jobs.terms.concept import Concept, ConceptTerm, Glossary, Status
from jobs.terms.table_headers import language_tag
from jobs.terms.tables import Languages, read_table

MOST_BYTES: Final = 256 << 20
MOST_CONCEPTS: Final = 500_000
"""A file has at most this many bytes and terms or entries."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STATUSES: Final = {
    TermStatus.UNSTATED: Status.PREFERRED,
    TermStatus.PREFERRED: Status.PREFERRED,
    TermStatus.ADMITTED: Status.ADMITTED,
    TermStatus.DEPRECATED: Status.FORBIDDEN,
    TermStatus.SUPERSEDED: Status.FORBIDDEN,
}
_NO_TABLES: Final = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"\x1f\x8b": "compressed",
}
"""The first bytes of files that people take for tables -> what they are."""


def read_glossary(path: Path, languages: Languages = Languages()) -> Glossary:  # noqa: B008 - a frozen value
    """Read a file of terms.

    Args:
        path: The file.
        languages: The languages of a table that has a source and a target, and no columns for their languages.

    Raises:
        RequestError: The file cannot be read. It is DocumentError if its content is not valid; the message then names the
            line, the column and the remedy.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RequestError(f"the glossary {path} cannot be read: {reason}: correct its path or its rights") from error
    return parse_glossary(data, path.name, languages)


def parse_glossary(data: bytes, name: str, languages: Languages = Languages()) -> Glossary:  # noqa: B008 - a frozen value
    """Return the glossary that the bytes of a file hold. Raises DocumentError if they are not valid."""
    if len(data) > MOST_BYTES:
        raise DocumentError(name, f"it has more than {MOST_BYTES >> 20} MiB", "split it")
    for first, what in _NO_TABLES.items():
        if data.startswith(first):
            raise DocumentError(name, f"it is {what}", "save it as CSV in UTF-8")
    untranslated = count()
    is_tbx = _is_xml(data)
    if is_tbx:
        concepts = _limited(_tbx_concepts(data, name), name)
    else:
        concepts = _limited(read_table(_text(data, name), name, languages, lambda: next(untranslated)), name)
    return Glossary(name, hashlib.sha256(data).hexdigest(), concepts, next(untranslated), is_strict=not is_tbx)


def _is_xml(data: bytes) -> bool:
    head = data[:200].replace(b"\0", b"")
    for mark, _ in _MARKS:
        head = head.removeprefix(mark.replace(b"\0", b""))
    return head.lstrip().startswith(b"<")


def _text(data: bytes, name: str) -> str:
    """Return the text of a table without its byte order mark."""
    mark, encoding = next(((mark, known) for mark, known in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    if encoding == "utf-8" and (at := data.find(b"\0")) >= 0:
        remedy = "save it as UTF-8" if b"\0" in data[:4] else "remove it"
        line = data.count(b"\n", 0, at) + 1
        raise DocumentError(name, "it holds a byte that is zero, as UTF-16 without a mark does", remedy, line)
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count("\n".encode(encoding), 0, error.start + len(mark)) + 1
        raise DocumentError(name, f"it is not valid {encoding.upper()}", "save it as UTF-8", line) from None


def _limited(concepts: Iterable[Concept], name: str) -> list[Concept]:
    found: list[Concept] = []
    for one in concepts:
        if len(found) >= MOST_CONCEPTS:
            raise DocumentError(name, f"it has more than {MOST_CONCEPTS:,} terms", "split it by language", one.line)
        found.append(one)
    return found


def _tbx_concepts(data: bytes, name: str) -> Iterator[Concept]:
    tags: dict[str, str] = {}
    for entry in read_tbx(io.BytesIO(data), name):
        terms: list[ConceptTerm] = []
        for one in entry.terms:
            tag = tags.get(one.language) or language_tag(one.language)
            if tag is None:
                what = f"a section has the language {shown(one.language)}, which is not a language tag of BCP 47"
                raise DocumentError(name, what, "give a tag such as de or pt-BR", entry.line)
            tags[one.language] = tag
            if text := cleaned(one.text, name, entry.line):
                terms.append(ConceptTerm(tag, text, _STATUSES[one.status]))
        if terms:
            yield Concept(entry.line, tuple(terms))
