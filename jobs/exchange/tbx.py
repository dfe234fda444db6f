"""Reads and writes terms in TBX (ISO 30042), entry by entry.

Three forms of the format are read and written: `martif` of 2008 (`termEntry`, `langSet`, `tig` or `ntig`), and `tbx` of 2019
(`conceptEntry`, `langSec`, `termSec`) in its two styles, in which a category such as the part of speech is the value of an
attribute (DCA, `<termNote type="partOfSpeech">`) or an element of its own (DCT, `<min:partOfSpeech>`).

An *entry* is a concept; a *term* names it in one language.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final, Literal

from jobs.errors import DocumentError
from jobs.exchange.xml_elements import Element, read_elements
from jobs.exchange.xml_text import tag, written

Style = Literal["dca", "dct", "martif"]


class TermStatus(StrEnum):
    """Whether a term is to be used. The values are those of TBX."""

    UNSTATED = ""
    PREFERRED = "preferredTerm-admn-sts"
    ADMITTED = "admittedTerm-admn-sts"
    DEPRECATED = "deprecatedTerm-admn-sts"
    """The term must not be used."""
    SUPERSEDED = "supersededTerm-admn-sts"
    """The term was used, and is not any more."""

    @property
    def is_forbidden(self) -> bool:
        """Whether the term must not be used."""
        return self in (TermStatus.DEPRECATED, TermStatus.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Term:
    """A term in one language (a BCP 47 tag). `part_of_speech` and `gender` are as the file has them (`noun`, `masculine`)."""

    language: str
    text: str
    status: TermStatus = TermStatus.UNSTATED
    part_of_speech: str = ""
    gender: str = ""
    note: str = ""
    context: str = ""
    """A sentence in which the term is used."""


@dataclass(frozen=True, slots=True)
class TermEntry:
    """A concept with its terms. `line` is where it stands in its file."""

    terms: tuple[Term, ...]
    id: str = ""
    subject: str = ""
    definition: str = ""
    note: str = ""
    line: int = 0


_STATUSES: Final = {
    "preferred": TermStatus.PREFERRED,
    "preferredterm": TermStatus.PREFERRED,
    "standardizedterm": TermStatus.PREFERRED,
    "admitted": TermStatus.ADMITTED,
    "admittedterm": TermStatus.ADMITTED,
    "allowed": TermStatus.ADMITTED,
    "approved": TermStatus.ADMITTED,
    "deprecated": TermStatus.DEPRECATED,
    "deprecatedterm": TermStatus.DEPRECATED,
    "forbidden": TermStatus.DEPRECATED,
    "notrecommended": TermStatus.DEPRECATED,
    "donotuse": TermStatus.DEPRECATED,
    "rejected": TermStatus.DEPRECATED,
    "superseded": TermStatus.SUPERSEDED,
    "supersededterm": TermStatus.SUPERSEDED,
    "obsolete": TermStatus.SUPERSEDED,
    "obsoleteterm": TermStatus.SUPERSEDED,
}
"""Each value of a status that is known, as letters in lower case without `-admn-sts`."""

_STATUS_KINDS: Final = ("administrativeStatus", "normativeAuthorization", "usageStatus")
_GENERIC: Final = frozenset(("termNote", "descrip", "admin"))
_ENTRIES: Final = ("termEntry", "conceptEntry")
_LANGUAGES: Final = ("langSet", "langSec")
_TERMS: Final = ("tig", "ntig", "termSec")


def read_tbx(file: BinaryIO, name: str = "the terms") -> Iterator[TermEntry]:
    """Yield the entries of a file of terms, in its order. A term without text is left out.

    Args:
        file: The file, open at its beginning. It may have any size.
        name: The name of the file, for messages.

    Raises:
        DocumentError: The file is not TBX, or is hostile XML, or a section of a language does not name it.
    """
    for element in read_elements(file, name, {"tbx", "martif"}, _ENTRIES):
        if element.name in _ENTRIES:
            terms: list[Term] = []
            for section in element.elements(*_LANGUAGES):
                if not section.language:
                    raise DocumentError(
                        name, f"a <{section.name}> names no language", 'add xml:lang="…" to it', section.line
                    )
                terms += _terms(section)
            about = _values([one for one in element.children if not _is_section(one)])
            yield TermEntry(
                terms=tuple(terms),
                id=element.attributes.get("id", ""),
                subject=about.get("subjectField", ""),
                definition=about.get("definition", "") or _definition(element),
                note=about.get("note", ""),
                line=element.line,
            )


def _is_section(one: Element | str) -> bool:
    return isinstance(one, Element) and one.name in (*_LANGUAGES, *_TERMS)


def _definition(entry: Element) -> str:
    """Return the first definition that a language has."""
    found = (
        _values([one for one in section.children if not _is_section(one)]) for section in entry.elements(*_LANGUAGES)
    )
    return next((one["definition"] for one in found if "definition" in one), "")


def _terms(section: Element) -> Iterator[Term]:
    for one in section.elements(*_TERMS):
        about = _values(one.children)
        if about.get("term"):
            yield Term(
                language=section.language,
                text=about["term"],
                status=_status(about),
                part_of_speech=about.get("partOfSpeech", ""),
                gender=about.get("grammaticalGender", ""),
                note=about.get("note", ""),
                context=about.get("context", ""),
            )


def _values(children: Iterable[Element | str]) -> dict[str, str]:
    """Return the values within elements by their categories: the first of each, without the blanks around and between words."""
    found: dict[str, str] = {}
    for one in children:
        if isinstance(one, Element):
            kind = one.attributes.get("type", "") if one.name in _GENERIC else one.name
            if next(one.elements(), None) is not None and one.name.endswith("Grp"):
                inner = _values(one.children)
            else:
                inner = {kind: " ".join(one.text.split())}
            for key, value in inner.items():
                if value:
                    found.setdefault(key, value)
    return found


def _status(about: dict[str, str]) -> TermStatus:
    for kind in _STATUS_KINDS:
        value = about.get(kind, "").removesuffix("-admn-sts")
        found = _STATUSES.get("".join(filter(str.isalpha, value)).lower())
        if found is not None:
            return found
    return TermStatus.UNSTATED


_NAMES: Final = {
    "dca": ("conceptEntry", "langSec", "termSec"),
    "dct": ("conceptEntry", "langSec", "termSec"),
    "martif": ("termEntry", "langSet", "tig"),
}
_PREFIXES: Final = {
    "partOfSpeech": "min",
    "administrativeStatus": "min",
    "subjectField": "min",
    "grammaticalGender": "basic",
    "definition": "basic",
    "context": "basic",
}
_HEADER: Final = "<fileDesc><sourceDesc><p>nightpress</p></sourceDesc></fileDesc>"
_TOPS: Final = {
    "dca": '<tbx type="TBX-Basic" style="dca" xml:lang="en" xmlns="urn:iso:std:iso:30042:ed-2">\n'
    f"  <tbxHeader>{_HEADER}</tbxHeader>\n",
    "dct": '<tbx type="TBX-Basic" style="dct" xml:lang="en" xmlns="urn:iso:std:iso:30042:ed-2"\n'
    '     xmlns:min="http://www.tbxinfo.net/ns/min" xmlns:basic="http://www.tbxinfo.net/ns/basic">\n'
    f"  <tbxHeader>{_HEADER}</tbxHeader>\n",
    "martif": f'<martif type="TBX-Basic" xml:lang="en">\n  <martifHeader>{_HEADER}</martifHeader>\n',
}


def write_tbx(file: BinaryIO, entries: Iterable[TermEntry], *, style: Style = "dca") -> int:
    """Write entries as TBX-Basic in UTF-8. Returns how many were written.

    Args:
        file: The file to write to.
        entries: The entries. They are taken one by one. One without an id gets its number as one.
        style: The form: `dca` or `dct` of 2019, or `martif` of 2008, which more tools read.
    """
    file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{_TOPS[style]}  <text>\n    <body>\n'.encode())
    count = 0
    for count, entry in enumerate(entries, 1):
        file.write("".join(f"      {line}\n" for line in _lines(entry, style, count)).encode())
    root = "martif" if style == "martif" else "tbx"
    file.write(f"    </body>\n  </text>\n</{root}>\n".encode())
    return count


def _lines(entry: TermEntry, style: Style, number: int) -> Iterator[str]:
    outer, middle, inner = _NAMES[style]
    yield tag(outer, {"id": entry.id or f"c{number}"})
    yield from _categories(style, "descrip", {"subjectField": entry.subject, "definition": entry.definition}, "  ")
    if entry.note:
        yield f"  <note>{written(entry.note)}</note>"
    for language in dict.fromkeys(one.language for one in entry.terms):
        yield f"  {tag(middle, {'xml:lang': language})}"
        for one in entry.terms:
            if one.language == language:
                yield f"    <{inner}>"
                yield f"      <term>{written(one.text)}</term>"
                about = {
                    "partOfSpeech": one.part_of_speech,
                    "grammaticalGender": one.gender,
                    "administrativeStatus": one.status.value,
                }
                yield from _categories(style, "termNote", about, "      ")
                yield from _categories(style, "descrip", {"context": one.context}, "      ")
                if one.note:
                    yield f"      <note>{written(one.note)}</note>"
                yield f"    </{inner}>"
        yield f"  </{middle}>"
    yield f"</{outer}>"


def _categories(style: Style, generic: str, values: dict[str, str], indent: str) -> Iterator[str]:
    for kind, value in values.items():
        if value and style == "dct":
            yield f"{indent}<{_PREFIXES[kind]}:{kind}>{written(value)}</{_PREFIXES[kind]}:{kind}>"
        elif value:
            yield f"{indent}{tag(generic, {'type': kind})}{written(value)}</{generic}>"
