"""Reads catalogues in JSON: nested messages, the plural keys of i18next, and ARB.

Each string with words is a segment, named by its JSON pointer. Keys, numbers and order stay. The plural forms of i18next are keys
that end in `_one`, `_other`, …: neighbours with the same stem are one message, and its translation has the forms of the target
language. In ARB, keys that begin with `@` describe other messages: they stay, and their `description` is the context.

The plural rules are those of https://www.i18next.com/misc/json-format (version 4); ARB is described at
https://github.com/google/app-resource-bundle.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

import regex

from jobs.documents.catalogues.json_values import NotJson, Value, pointer, values
from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.message import message_piece
from jobs.documents.source import Source
from jobs.languages.plurals import CATEGORIES
from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept
from jobs.marks.plural_keys import categories_of, numbers_of, source_form

_PLURAL: Final = regex.compile(r"(.+?)_(ordinal_)?(zero|one|two|few|many|other)")


class JsonFormat:
    """The format `json`."""

    name = "json"
    suffixes = (".json", ".arb")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r'\s*\{\s*"(?:[^"\\]|\\.){1,200}"\s*:\s*[{"]', head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        text = source.text()
        try:
            found = list(values(text))
        except NotJson as error:
            line = text.count("\n", 0, error.position) + 1
            raise source.error(f"it is not valid JSON: {error}", "mend it there", line) from None
        yield from _Catalogue(source, text, found).pieces()


class _Catalogue:
    def __init__(self, source: Source, text: str, found: list[Value]) -> None:
        self._source, self._text, self._found = source, text, found
        self._is_arb = any(str(one.path[0]).startswith("@@locale") for one in found if one.path)
        self._context = {one.path[0]: one.text for one in found if one.path[1:] == ("description",)}
        self._at, self._line, self._seen = 0, 1, set[str]()
        self._is_ascii = text.isascii() and "\\u" in text

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the catalogue."""
        position = 0
        for stem, group in groupby(self._found, key=_stem):
            run = list(group)
            is_plural = bool(stem) and self._is_message(run)
            for members in [run] if is_plural else [[one] for one in run]:
                first = members[0]
                start = first.key_start if is_plural else first.start
                yield self._text[position:start]
                yield self._plural(members) if is_plural else self._message(first)
                position = members[-1].end
        yield self._text[position:]

    def _line_of(self, position: int) -> int:
        self._line += self._text.count("\n", self._at, position)
        self._at = position
        return self._line

    def _name(self, path: tuple[str | int, ...]) -> str:
        """Return the pointer of a path. A key that stands twice gets a number, which no pointer has."""
        name, n = pointer(path), 1
        while name in self._seen:
            n += 1
            name = f"{pointer(path)}#{n}"
        self._seen.add(name)
        return name

    def _message(self, value: Value) -> Piece:
        raw = self._text[value.start : value.end]
        if self._is_arb and str(value.path[0]).startswith("@"):
            return raw
        context = self._context.get(f"@{value.path[0]}", "") if value.path else ""
        name, line = self._name(value.path), self._line_of(value.start)
        return message_piece(raw, name, value.text, self._source.options, self._string, line, context)

    def _string(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=self._is_ascii)

    def _is_message(self, run: Sequence[Value]) -> bool:
        """Whether strings are the forms of one message: they follow each other, `other` is among them, none stands twice."""
        forms = [str(one.path[-1]) for one in run]
        gaps = (self._text[one.end : two.key_start] for one, two in pairwise(run))
        return (
            len(set(forms)) == len(forms)
            and any(one.endswith("_other") for one in forms)
            and all(not gap.strip(" \t\r\n,") for gap in gaps)
            and not (self._is_arb and forms[0].startswith("@"))
            and any(map(str.isalpha, "".join(one.text for one in run)))
            and not self._has_other_forms(forms)
        )

    def _has_other_forms(self, forms: Sequence[str]) -> bool:
        """Whether a form that a translation might add is a key already, whose value is no string or stands elsewhere."""
        stem = forms[0].rpartition("_")[0]
        names = {f"{stem}_{category}" for category in CATEGORIES} - set(forms)
        return any(regex.search(rf'"{regex.escape(name)}"\s*:', self._text) for name in names)

    def _plural(self, run: Sequence[Value]) -> Piece:
        start = run[0].key_start
        raw = self._text[start : run[-1].end]
        language = self._source.options.target_language
        matches = [(one, _PLURAL.fullmatch(str(one.path[-1]))) for one in run]
        present = {match[3]: one for one, match in matches if match}
        first = next(match for _, match in matches if match)
        stem, is_ordinal = f"{first[1]}_{first[2] or ''}", bool(first[2])
        wanted = categories_of(language, is_ordinal=is_ordinal) if language else tuple(present)
        if "zero" in present and "zero" not in wanted:
            wanted = ("zero", *wanted)  # i18next shows it for 0 in every language
        segments = []
        for category in wanted:
            like = present[source_form(category, present)]
            marks = find_marks(like.text, language=self._source.options.source_language)
            numbers = ", ".join(map(str, numbers_of(category, language, is_ordinal=is_ordinal)))
            name = self._name((*run[0].path[:-1], stem + category))
            segments.append(Segment(name, like.text, f"plural {category}", marks, f"for the numbers {numbers}"))
        blanks = self._text[len(self._text[:start].rstrip(" \t\r\n")) : start]
        between = self._text[run[0].end : run[1].key_start] if len(run) > 1 else f",{blanks or ' '}"
        colon = self._text[run[0].key_end : run[0].start]

        def write(texts: Sequence[str | None]) -> str:
            changed = [
                text is not None and (category not in present or text != present[category].text)
                for category, text in zip(wanted, texts, strict=True)
            ]
            if not any(changed):
                return raw
            lines = []
            for category, segment, text in zip(wanted, segments, texts, strict=True):
                if text is not None and not text.strip():
                    raise Damaged(f"the translation of the form {category} is empty")
                if text is not None:
                    check_kept(text, segment.marks)
                lines.append(
                    f"{self._string(stem + category)}{colon}{self._string(segment.text if text is None else text)}"
                )
            return between.join(lines)

        return Slot(raw, tuple(segments), write, self._line_of(start))


def _stem(value: Value) -> tuple[object, ...]:
    """Return the path of the message that a plural form belongs to; an empty one for other strings."""
    match = _PLURAL.fullmatch(str(value.path[-1])) if value.path and isinstance(value.path[-1], str) else None
    return (*value.path[:-1], match[1], match[2]) if match else ()
