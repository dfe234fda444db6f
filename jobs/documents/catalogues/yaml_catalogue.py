"""Reads catalogues in YAML, such as those of Rails: each string with words is a segment, named by its path of keys.

A translation keeps the style of its scalar (plain, quoted or a block) if that can hold it, else it is written in double quotes.
Anchors stay with their value, and aliases as they are. Where the first key is the source language, as Rails has it, it becomes
the target language. A map of nothing but `one`, `other` and the like is a message with forms, which get those of the target
language.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import regex

from jobs.documents.catalogues.json_values import pointer
from jobs.documents.catalogues.yaml_scalars import Broken, Scalar, scalars, written
from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.message import message_piece
from jobs.documents.source import Source
from jobs.languages.plurals import CATEGORIES
from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept
from jobs.marks.plural_keys import categories_of, said_numbers, source_form

_ROOT: Final = regex.compile(
    r"(?:#[^\n]*+\n|---[ \t]*+\r?\n|[ \t]*+\r?\n)*+[\"']?([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*+)[\"']?:\s"
)
_KEY: Final = regex.compile(r"(?:zero|one|two|few|many|other|\"(?:zero|one|two|few|many|other)\")[ \t]*+:[ \t]*+$")


class YamlFormat:
    """The format `yaml`."""

    name = "yaml"
    suffixes = (".yml", ".yaml")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r"(?:#.*\n|---\s*\n|\s*\n)*[\w.-]{1,60}:\s*(?:\n\s+\S|[\"'|>])", head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        text = source.text()
        try:
            found = list(scalars(text))
        except Broken as error:
            raise source.error(str(error), "mend it there", error.line) from None
        yield from _Catalogue(source, text, found).pieces()


class _Catalogue:
    def __init__(self, source: Source, text: str, found: list[Scalar]) -> None:
        self._options, self._text, self._found = source.options, text, found
        self._seen: set[str] = set()
        self._keys: dict[tuple[str | int, ...], set[str | int]] = {}
        for one in found:
            for n, key in enumerate(one.path):
                self._keys.setdefault(one.path[:n], set()).add(key)

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the catalogue."""
        position = 0
        if (root := self._root()) is not None:
            start, end, language = root
            yield self._text[:start]
            yield Slot(self._text[start:end], (), lambda texts: language, 1)
            position = end
        for _, group in groupby(self._found, key=lambda one: one.path[:-1]):
            run = list(group)
            starts = self._key_starts(run)
            for members in [run] if starts else [[one] for one in run if one.is_text]:
                start = starts[0] if starts else members[0].start
                yield self._text[position:start]
                yield self._plural(run, starts) if starts else self._message(members[0])
                position = members[-1].end
        yield self._text[position:]

    def _root(self) -> tuple[int, int, str] | None:
        """Return the place of a single first key that is the source language, and the target language in its place."""
        target, match = self._options.target_language, _ROOT.match(self._text)
        if not target or match is None or self._keys.get(()) != {match[1]}:
            return None
        if match[1].replace("_", "-").lower() != (self._options.source_language or "en").lower():
            return None
        return *match.span(1), target.replace("-", "_") if "_" in match[1] else target

    def _name(self, path: tuple[str | int, ...]) -> str:
        name, n = pointer(path), 1
        while name in self._seen:
            n += 1
            name = f"{pointer(path)}#{n}"
        self._seen.add(name)
        return name

    def _message(self, one: Scalar) -> Piece:
        raw = self._text[one.start : one.end]
        return message_piece(
            raw, self._name(one.path), one.value, self._options, lambda new: written(new, one, raw), one.line
        )

    def _wanted(self, run: Sequence[Scalar]) -> list[str]:
        """Return the forms that the target language needs of a message; none if these values are no forms, or are right."""
        present = [str(one.path[-1]) for one in run if one.path]
        language, parent = self._options.target_language, run[0].path[:-1]
        if not language or "other" not in present or not set(present) <= set(CATEGORIES):
            return []
        is_simple = all(one.is_text and one.is_alone and one.style not in ("|", ">") for one in run)
        if not is_simple or len(run) != len(self._keys[parent]):
            return []
        needed = categories_of(language)
        wanted: list[str] = [one for one in CATEGORIES if one in needed or (one == "zero" and one in present)]
        return wanted if set(wanted) != set(present) else []

    def _key_starts(self, run: Sequence[Scalar]) -> list[int]:
        """Return where the keys of the forms of a message begin; nothing if it is not written anew as a whole."""
        starts, position = list[int](), 0
        for one in run if self._wanted(run) else ():
            match = _KEY.search(self._text, max(position, one.start - 200), one.start)
            between = self._text[position : match.start()] if match and starts else ""
            if match is None or between.strip(" \t\r\n,"):
                return []
            starts.append(match.start())
            position = one.end
        return starts

    def _plural(self, run: Sequence[Scalar], starts: Sequence[int]) -> Piece:
        """Return the slot of a message with forms, which gets those of the target language."""
        text, language = self._text, self._options.target_language
        present = {str(one.path[-1]): one for one in run}
        likes = {category: present[source_form(category, present)] for category in self._wanted(run)}
        segments = tuple(
            Segment(
                self._name((*run[0].path[:-1], category)),
                like.value,
                f"plural {category}",
                find_marks(like.value, language=self._options.source_language),
                said_numbers(category, language),
            )
            for category, like in likes.items()
        )
        raw, colon = text[starts[0] : run[-1].end], text[starts[0] : run[0].start].partition(":")[2]
        blanks = text[len(text[: starts[0]].rstrip(" \t\r\n")) : starts[0]]
        between = text[run[0].end : starts[1]] if len(run) > 1 else blanks if "\n" in blanks else ", "

        def write(texts: Sequence[str | None]) -> str:
            if all(one is None for one in texts):
                return raw
            made = []
            for (category, like), segment, new in zip(likes.items(), segments, texts, strict=True):
                value = text[like.start : like.end]
                if new is not None:
                    if not new.strip():
                        raise Damaged(f"the translation of the form {category} is empty")
                    check_kept(new, segment.marks)
                made.append(
                    f"{category}:{colon}{value if new in (None, like.value) else written(str(new), like, value)}"
                )
            return between.join(made)

        return Slot(raw, segments, write, run[0].line)
