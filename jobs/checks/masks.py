"""Masks replace everything that is not prose by as many spaces, so that positions in the result are those of the text."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from jobs.checks.contacts import EMAIL
from jobs.writing.links.web_links import LINK
from jobs.writing.prose import FENCE
from jobs.writing.words.words import primary

if TYPE_CHECKING:
    import regex

_INLINE: Final = re.compile(r"(?<![`\\])(`{1,3}+)([^`\n]{1,500}+)\1(?!`)")
_ADDRESSES: Final = re.compile(
    r"(?<=\])\([^()\s]{0,500}+(?:\([^()\s]{0,200}+\)[^()\s]{0,200}+)?(?:\s\"[^\"\n]{0,200}+\")?\)"
    r"|^[ ]{0,3}\[[^\[\]\n]{1,100}+\]:[ \t]\S{1,500}+|<!--(?:[^-<]|-(?!->)|<(?!!--)){0,2000}+-->|</?[a-zA-Z][^<>\n]{0,300}+>",
    re.MULTILINE,
)
MOST_OF_LINE: Final = 4_000
"""A longer line is given to sentencex in parts, since its time for quotation marks that open nothing is quadratic."""

_ANY: Final = re.compile(r"[^\n]")


def _blank(found: "re.Match[str] | regex.Match[str]") -> str:
    return _ANY.sub(" ", found[0])


def without_code(text: str) -> str:
    """Return the text without its code: fenced blocks of Markdown, even one that is not closed, and spans in backticks."""
    if "```" in text or "~~~" in text:
        text = "".join(_without_fenced(text))
    return _INLINE.sub(_blank, text) if "`" in text else text


def _without_fenced(text: str) -> Iterator[str]:
    opened = ""
    for line in text.splitlines(keepends=True):
        fence = FENCE.match(line)
        yield _ANY.sub(" ", line) if fence or opened else line
        if fence and not opened:
            opened = fence[1]
        elif fence and fence[1].startswith(opened) and not line[fence.end() :].strip():
            opened = ""


def without_addresses(text: str) -> str:
    """Return the text without tags and comments of HTML, and without the addresses of links and of mail."""
    if "](" in text or "<" in text or "]:" in text:
        text = _ADDRESSES.sub(_blank, text)
    if "://" in text or ":/" in text:
        text = LINK.sub(_blank, text)
    return EMAIL.sub(_blank, text) if "@" in text else text


def sentence_spans(text: str, language: str | None = None) -> list[tuple[int, int]]:
    """Return start and end of each sentence of a text, without the space around it. A line break ends a sentence too.

    sentencex knows abbreviations by language; a language that it does not know is read as English.
    """
    from sentencex import segment

    code = primary(language or "en")
    spans: list[tuple[int, int]] = []
    position = 0
    for line in (part for whole in text.splitlines(keepends=True) for part in _short(whole)):
        at = position
        for part in segment(code, line):
            if words := part.strip():
                start = text.find(words, at, position + len(line))
                if start < 0:
                    continue
                at = start + len(words)
                spans.append((start, at))
        position += len(line)
    return spans


def _short(line: str) -> Iterator[str]:
    """Yield the parts of a line, each of at most `MOST_OF_LINE` characters. A line is cut behind a full stop or a space."""
    start = 0
    while len(line) - start > MOST_OF_LINE:
        most = start + MOST_OF_LINE
        ends = [line.rfind(mark, start, most) for mark in (". ", "\u3002")]
        end = max(ends) + 1 or line.rfind(" ", start, most) + 1 or most
        yield line[start:end]
        start = end
    yield line[start:]
