"""Reads front matter, the block of data at the head of a page in YAML or TOML, and translates only the fields that hold text.

The values of all other fields stay as they are, so that `draft: true`, dates and addresses keep their meaning.
"""

from collections.abc import Iterator
from typing import Final

import regex

from jobs.documents.catalogues.yaml_scalars import Broken, scalars, written
from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.source import Options
from jobs.marks.building import has_words
from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept

_TOML: Final = regex.compile(
    r"^[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+(\"(?!\"\")(?:[^\"\\\r\n]|\\.)*+\"|'(?!'')[^'\r\n]*+')[ \t]*+(?=[#\r\n]|$)",
    regex.MULTILINE,
)
_TOML_ESCAPE: Final = regex.compile(r"\\(?:([btnfr\"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")
_TOML_SHORT: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def front_matter_pieces(text: str, line: int, options: Options, *, is_toml: bool = False) -> Iterator[Piece]:
    """Yield the pieces of a block of front matter, whose first line in its page is `line`.

    A block that is not valid YAML (a template, perhaps) stays as it is.
    """
    position = 0
    for start, end, slot in _toml(text, line, options) if is_toml else _yaml(text, line, options):
        if start > position:
            yield text[position:start]
        yield slot
        position = end
    if position < len(text):
        yield text[position:]


def _yaml(text: str, line: int, options: Options) -> list[tuple[int, int, Slot]]:
    found = []
    try:
        for one in scalars(text):
            if one.is_text and str(one.path[-1] if one.path else "").lower() in options.fields:
                raw = text[one.start : one.end]

                def write(new: str, one=one, raw=raw) -> str:  # type: ignore[no-untyped-def]
                    return written(new, one, raw)

                slot = _slot(one.value, raw, "/".join(map(str, one.path)), line + one.line - 1, options, write)
                if slot is not None:
                    found.append((one.start, one.end, slot))
    except Broken:
        return []
    return found


def _toml(text: str, line: int, options: Options) -> Iterator[tuple[int, int, Slot]]:
    for match in _TOML.finditer(text):
        if match[1].lower() in options.fields:
            value = match[2][1:-1]
            if match[2][0] == '"':
                value = _TOML_ESCAPE.sub(_unescaped, value)
            number = line + text.count("\n", 0, match.start())
            slot = _slot(value, match[2], match[1], number, options, _toml_string)
            if slot is not None:
                yield *match.span(2), slot


def _unescaped(match: regex.Match[str]) -> str:
    if match[1]:
        return _TOML_SHORT[match[1]]
    code = int(match[2] or match[3], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]


def _toml_string(text: str) -> str:
    """Return a text as a basic string of TOML."""
    made = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return '"' + "".join(one if one >= " " and one != "\x7f" else f"\\u{ord(one):04X}" for one in made) + '"'


def _slot(value: str, raw: str, path: str, line: int, options: Options, write) -> Slot | None:  # type: ignore[no-untyped-def]
    marks = find_marks(value, language=options.source_language)
    if not has_words(value, marks):
        return None
    segment = Segment(f"front:{path}", value, f"field {path.rsplit('/', 1)[-1]}", marks)

    def slot_write(texts) -> str:  # type: ignore[no-untyped-def]
        (new,) = texts
        if new is None or new == value:
            return raw
        if not new.strip():
            raise Damaged("the translation is empty")
        check_kept(new, marks)
        return str(write(new))

    return Slot(raw, (segment,), slot_write, line)
