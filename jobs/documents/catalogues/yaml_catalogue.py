"""Reads catalogues in YAML, such as those of Rails: each string with words is a segment, named by its path of keys.

A translation keeps the style of its scalar (plain, quoted or a block) if that can hold it, else it is written in double quotes.
Anchors stay with their value, and aliases as they are.
"""

from collections.abc import Iterator

import regex

from jobs.documents.catalogues.json_values import pointer
from jobs.documents.catalogues.yaml_scalars import Broken, Scalar, scalars, written
from jobs.documents.document import Piece
from jobs.documents.message import message_piece
from jobs.documents.source import Source


class YamlFormat:
    """The format `yaml`."""

    name = "yaml"
    suffixes = (".yml", ".yaml")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.match(r"(?:#.*\n|---\s*\n|\s*\n)*[\w.-]{1,60}:\s*(?:\n\s+\S|[\"'|>])", head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        text, position, seen = source.text(), 0, set[str]()
        try:
            found = [one for one in scalars(text) if one.is_text]
        except Broken as error:
            raise source.error(str(error), "mend it there", error.line) from None
        for one in found:
            name, n = pointer(one.path), 1
            while name in seen:
                n += 1
                name = f"{pointer(one.path)}#{n}"
            seen.add(name)
            raw = text[one.start : one.end]
            yield text[position : one.start]

            def encode(new: str, one: Scalar = one, raw: str = raw) -> str:
                return written(new, one, raw)

            yield message_piece(raw, name, one.value, source.options, encode, one.line)
            position = one.end
        yield text[position:]
