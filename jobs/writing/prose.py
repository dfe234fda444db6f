"""Prose: finds the sentences of a text, and cuts a text to a length.

A text that ended at max_tokens is cut back to its last whole sentence. jobs/writing/cleaning.py takes off the labels and quotes
that a model puts around a text.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final

ELLIPSIS: Final = "…"

FENCE: Final = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
"""The beginning of a line that opens or closes a block of code in Markdown; group 1 is the fence."""

_ITEM: Final = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+\S.*(?=\n)", re.MULTILINE)
_SENTENCE_END: Final = re.compile(
    r"(?:(?<!^\d)(?<!^\d\d)(?<![.!?…؟।॥])[.!?…؟।॥]++[\"'”’»)\]*_]*+(?=\s|$)|[。！？]+[」』”’）]*)",  # noqa: RUF001 - marks of other scripts
    re.MULTILINE,
)
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "'": "", "’": ""}  # noqa: RUF001
)


def whole_sentences(text: str) -> str:
    """Return the text up to the end of its last whole sentence or list item; an empty text if it has none.

    A sentence ends with a full stop or another such mark. A Latin mark ends a sentence only before white space or the end of the
    text, so 3.5 is not cut. The full stop after the number of a list item ends no sentence either.
    """
    text = text.lstrip()  # without this, the pattern would not find the number of an item at the beginning of the text
    return text[: max(_ends(text), default=0)].strip()


def sentences(text: str) -> list[str]:
    """Return the whole sentences of a text."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]
    return [text[start:end].strip() for start, end in pairwise(ends)]


def whole_length(text: str) -> int:
    """Return the position where the last whole sentence of a text ends; 0 if it has none."""
    return max((match.end() for match in _SENTENCE_END.finditer(text)), default=0)


def clipped(text: str, limit: int) -> str:
    """Return the text on one line of at most `limit` characters: all of it, or whole sentences, or words and an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    end = max((end for end in _ends(text) if end <= limit), default=0)
    if end * 2 >= limit:
        return text[:end].strip()
    cut = text[: limit - 1]
    words = cut if text[limit - 1].isspace() else cut.rpartition(" ")[0] or cut
    return words.rstrip(" ,;:-") + ELLIPSIS


def slug_of(title: str, fallback: str = "article") -> str:
    """Return a title for a URL: at most 80 ASCII letters, digits and single hyphens; `fallback` if nothing of it is left."""
    plain = unicodedata.normalize("NFKD", title.lower().translate(_LETTERS)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80].rstrip("-") or fallback


def _ends(text: str) -> list[int]:
    """Return the positions where whole sentences and list items end."""
    return [match.end() for pattern in (_SENTENCE_END, _ITEM) for match in pattern.finditer(text)]
