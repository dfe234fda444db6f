"""Prose: reads the texts that models write, leniently.

These functions take off the labels, quotes, code fences and numbers that small models put around a text. They also cut a text
that ended at max_tokens back to its last whole sentence.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final

ELLIPSIS: Final = "…"

FENCE: Final = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
"""The beginning of a line that opens or closes a block of code in Markdown; group 1 is the fence."""

_LABEL: Final = re.compile(
    r"\**(?:(?:meta |seo )?(?:title|description)|headings?|headline|outline|section|post|translation|answer)"
    r"\s*\d*\s*\**\s*:\s*\**\s*",
    re.IGNORECASE,
)
_ANNOUNCEMENT: Final = re.compile(
    r"(?:here|sure|certainly|of course|below|okay|absolutely)\b[^\n:]{0,100}:(?:[ \t]*\n\s*|[ \t]*(?=[\"“*]))",
    re.IGNORECASE,
)
_MARKER: Final = re.compile(r"(?:[-*+•]\s+|#{1,6}\s+|\(?\d{1,2}[.):](?:\s+|(?=\D))|[IVX]{1,4}[.)]\s+)")
_ITEM: Final = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+\S.*(?=\n)", re.MULTILINE)
_SENTENCE_END: Final = re.compile(
    r"(?:(?<!^\d)(?<!^\d\d)(?<![.!?…؟।॥])[.!?…؟।॥]++[\"'”’»)\]*_]*+(?=\s|$)|[。！？]+[」』”’）]*)",  # noqa: RUF001 - marks of other scripts
    re.MULTILINE,
)
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "*": "*", "_": "_", "`": "`"}  # noqa: RUF001
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "'": "", "’": ""}  # noqa: RUF001
)


def unquoted(text: str) -> str:
    """Return the text without a label (`Title:`) before it, and without quotes or emphasis around it."""
    text, before = text.strip(), None
    while text != before:
        before = text
        text = text[label.end() :] if (label := _LABEL.match(text)) else text
        if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in text[2:-2]:
            text = text[2:-2].strip()
        elif len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
            text = text[1:-1].strip()
    return text


def without_marker(line: str) -> str:
    """Return a line without its list number, bullet or heading mark, and without a label or quotes (`unquoted`)."""
    line = line.strip()
    return unquoted(line[marker.end() :] if (marker := _MARKER.match(line)) else line)


def answer_only(text: str) -> str:
    """Return an answer without an announcement before it (`Here is a title:`), and without a code fence around it."""
    text = text.strip()
    announcement = _ANNOUNCEMENT.match(text)
    return unfenced(text[announcement.end() :]) if announcement and announcement.end() < len(text) else unfenced(text)


def unfenced(text: str) -> str:
    """Return the text. If a code fence encloses all of the text, the fence is taken off."""
    lines = text.strip().splitlines()
    if not lines or (opening := FENCE.match(lines[0])) is None:
        return text.strip()
    closing = [n for n, line in enumerate(lines[1:], 1) if line.strip() == opening[1]]
    if closing and closing[0] != len(lines) - 1:
        return text.strip()
    return "\n".join(lines[1 : closing[0] if closing else None]).strip()


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
