"""Reads and writes translation memories in TMX 1.4b, unit by unit; versions 1.1 to 1.4 are read.

A *unit* holds the same text in several languages, a *variant* in each. The text of a variant is what a document has there: the
code that an inline element holds (`<bpt i="1">&lt;b&gt;</bpt>`) stands in the text (`<b>`) and is a mark. An inline element
without code, and the tags of `<hi>` around words, are marks that read as their own tags.

The format is that of https://www.gala-global.org/tmx-14b (LISA OSCAR, 2005).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import regex

from jobs.errors import DocumentError
from jobs.exchange.xml_elements import Element, read_elements
from jobs.exchange.xml_text import tag, written
from jobs.marks.mark import Mark, Role

ALL_LANGUAGES: Final = "*all*"
"""The source language of a memory in which each language may be the source."""

_ROLES: Final = {"bpt": Role.OPENS, "ept": Role.CLOSES, "ph": Role.ALONE, "it": Role.ALONE, "ut": Role.ALONE}
_KEPT: Final = ("i", "x", "pos", "type", "assoc")
_BARE: Final = regex.compile(r"<(?:bpt|ept|ph|it|ut)(?: (?:i|x|pos|type|assoc)=\"[^\"<>]*+\")*+/>")
_NUMBER: Final = regex.compile(r" [ix]=\"(\d{1,9})\"")
_HIGHLIGHT: Final = regex.compile(r"<hi(?: (?:x|type)=\"[^\"<>]*+\")*+>")


@dataclass(frozen=True, slots=True)
class TmxVariant:
    """A text of a unit in one language (a BCP 47 tag), with its marks. `changed` and `author` are who wrote it last, and when
    (`20261201T013000Z`); `properties` are its `<prop>` by their type.
    """

    language: str
    text: str
    marks: tuple[Mark, ...] = ()
    changed: str = ""
    author: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TmxUnit:
    """A unit of a memory.

    `source_language` is the language of which the others are translations, or ALL_LANGUAGES. `properties` are the `<prop>` of the
    unit by their type, `notes` its notes. `line` is where it stands in its file.
    """

    variants: tuple[TmxVariant, ...]
    source_language: str = ALL_LANGUAGES
    id: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    line: int = 0


def read_tmx(file: BinaryIO, name: str = "the memory") -> Iterator[TmxUnit]:
    """Yield the units of a memory, in the order of the file.

    Args:
        file: The file, open at its beginning. It may have any size.
        name: The name of the file, for messages.

    Raises:
        DocumentError: The file is not TMX, or is hostile XML, or a variant names no language or has no text.
    """
    source_language = ALL_LANGUAGES
    for element in read_elements(file, name, {"tmx"}, {"header", "tu"}):
        if element.name == "header":
            source_language = element.attributes.get("srclang", "").strip() or ALL_LANGUAGES
        elif element.name == "tu":
            yield _unit(element, source_language, name)


def _unit(element: Element, source_language: str, name: str) -> TmxUnit:
    return TmxUnit(
        variants=tuple(_variant(one, element, name) for one in element.elements("tuv")),
        source_language=element.attributes.get("srclang", "").strip() or source_language,
        id=element.attributes.get("tuid", ""),
        properties=_properties(element),
        notes=tuple(text for one in element.elements("note") if (text := one.text.strip())),
        line=element.line,
    )


def _properties(element: Element) -> dict[str, str]:
    return {one.attributes.get("type", ""): one.text for one in element.elements("prop")}


def _variant(element: Element, unit: Element, name: str) -> TmxVariant:
    if not element.language:
        raise DocumentError(name, "a <tuv> names no language", 'add xml:lang="…" to it', element.line)
    segment = next(element.elements("seg"), None)
    if segment is None:
        raise DocumentError(name, "a <tuv> has no <seg>", "add one, which may be empty", element.line)
    parts: list[tuple[str, Role | None]] = []
    _add(segment, parts)
    text, marks = "", list[Mark]()
    for part, role in parts:
        if role is not None:
            marks.append(Mark(len(text), len(text) + len(part), part, role))
        text += part
    about = (element.attributes, unit.attributes)
    return TmxVariant(
        language=element.language,
        text=text,
        marks=_nested(marks),
        changed=next((found for one in about if (found := one.get("changedate") or one.get("creationdate"))), ""),
        author=next((found for one in about if (found := one.get("changeid") or one.get("creationid"))), ""),
        properties=_properties(element),
    )


def _add(element: Element, parts: list[tuple[str, Role | None]]) -> None:
    """Add what a segment or a highlight holds to the parts of a text; a part with a role is a mark."""
    for one in element.children:
        if isinstance(one, str):
            parts.append((one, None))
        elif one.name == "hi":
            kept = {key: one.attributes[key] for key in ("x", "type") if key in one.attributes}
            parts.append((tag("hi", kept), Role.OPENS))
            _add(one, parts)
            parts.append(("</hi>", Role.CLOSES))
        elif one.name in _ROLES:
            kept = {key: one.attributes[key] for key in _KEPT if key in one.attributes}
            parts.append((one.text or tag(one.name, kept, is_empty=True), _ROLES[one.name]))
        else:
            _add(one, parts)


def _nested(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Return marks of which each that closes has one that opens; if not all have, all stand alone."""
    depth = 0
    for mark in marks:
        depth += {Role.OPENS: 1, Role.CLOSES: -1}.get(mark.role, 0)
        if depth < 0:
            break
    if not depth:
        return tuple(marks)
    return tuple(Mark(one.start, one.end, one.text) for one in marks)


def write_tmx(
    file: BinaryIO, units: Iterable[TmxUnit], *, source_language: str = ALL_LANGUAGES, version: str = ""
) -> int:
    """Write units as TMX 1.4 in UTF-8. Returns how many were written.

    Args:
        file: The file to write to.
        units: The units. They are taken one by one, so that they need not fit in memory.
        source_language: The source language in the header. A unit with another one says so itself.
        version: The version of the tool that writes, for the header.
    """
    header = {
        "creationtool": "nightpress",
        "creationtoolversion": version or "1",
        "segtype": "sentence",
        "o-tmf": "nightpress",
        "adminlang": "en",
        "srclang": source_language,
        "datatype": "unknown",
    }
    top = f'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n  {tag("header", header, is_empty=True)}\n'
    file.write(f"{top}  <body>\n".encode())
    count = 0
    for count, unit in enumerate(units, 1):  # noqa: B007 - the last number is the result
        file.write("".join(f"    {line}\n" for line in _lines(unit, source_language)).encode())
    file.write(b"  </body>\n</tmx>\n")
    return count


def _lines(unit: TmxUnit, source_language: str) -> Iterator[str]:
    is_other = unit.source_language not in (source_language, "")
    yield tag("tu", {"tuid": unit.id, "srclang": unit.source_language if is_other else None})
    yield from (f"  <note>{written(note)}</note>" for note in unit.notes)
    yield from (f"  {_property(key, value)}" for key, value in unit.properties.items())
    for one in unit.variants:
        yield f"  {tag('tuv', {'xml:lang': one.language, 'changedate': one.changed, 'changeid': one.author})}"
        yield from (f"    {_property(key, value)}" for key, value in one.properties.items())
        yield f"    <seg>{_segment(one)}</seg>"
        yield "  </tuv>"
    yield "</tu>"


def _property(key: str, value: str) -> str:
    return f"{tag('prop', {'type': key or 'x-unnamed'})}{written(value)}</prop>"


def _segment(variant: TmxVariant) -> str:
    """Return a text with its marks as inline elements."""
    marks = _nested(variant.marks)
    number = max(
        (int(one) for mark in marks if _BARE.fullmatch(mark.text) for one in _NUMBER.findall(mark.text)), default=0
    )
    parts, position, opened = list[str](), 0, list[tuple[int, bool]]()
    for n, mark in enumerate(marks):
        parts.append(written(variant.text[position : mark.start]))
        position = mark.end
        if mark.role is Role.OPENS:
            number += 1
            opened.append((number, _HIGHLIGHT.fullmatch(mark.text) is not None and _closes_as_one(marks[n:])))
            parts.append(mark.text if opened[-1][1] else _inline("bpt", {"i": str(number)}, mark.text))
        elif mark.role is Role.CLOSES:
            first, is_highlight = opened.pop()
            parts.append("</hi>" if is_highlight else _inline("ept", {"i": str(first)}, mark.text))
        else:
            number += 1
            parts.append(_inline("ph", {"x": str(number)}, mark.text))
    return "".join([*parts, written(variant.text[position:])])


def _closes_as_one(marks: Sequence[Mark]) -> bool:
    """Whether the mark that closes the first one is `</hi>`."""
    depth = 0
    for one in marks:
        depth += {Role.OPENS: 1, Role.CLOSES: -1}.get(one.role, 0)
        if not depth:
            return one.text == "</hi>"
    return False


def _inline(name: str, attributes: Mapping[str, str], code: str) -> str:
    """Return an inline element that holds code. A code that is a bare inline element is written as it is."""
    return code if _BARE.fullmatch(code) else f"{tag(name, attributes)}{written(code)}</{name}>"
