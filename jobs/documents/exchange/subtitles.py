"""Reads subtitles, SubRip (`.srt`) and WebVTT (`.vtt`), cue by cue: the text of a cue is a segment.

The lines of a cue count as one text; a translation that is longer than a line may be is broken at a blank near its middle.
Tags within a cue are marks; numbers, times, comments, styles and regions stay. WebVTT is described at https://www.w3.org/TR/webvtt1/.
"""

from collections.abc import Iterator
from typing import Final

import regex

from jobs.documents.document import Piece, Segment
from jobs.documents.message import message_slot
from jobs.documents.source import Source
from jobs.marks.building import has_words
from jobs.marks.grammar import find_marks
from jobs.marks.mark import Mark, apart
from jobs.writing.words.words import is_unspaced

LINE: Final = 42
"""A line of a subtitle should have at most so many characters."""

_TIMES: Final = regex.compile(r"\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}\s*-->\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}")
_TAG: Final = regex.compile(r"</?[a-zA-Z0-9][^<>\n]{0,200}>|\{\\[^{}\n]{1,100}\}|^(?:- ?|\u2013 ?|>> ?|♪ ?)")


class SubtitleFormat:
    """The format `srt` or `vtt`."""

    holds_languages = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.suffixes = (f".{name}",)

    def detect(self, head: str) -> bool:
        if self.name == "vtt":
            return head.startswith("WEBVTT")
        return regex.match(r"\s*\d+\s*\n" + _TIMES.pattern, head) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        count, cue, is_cue, first, last = 0, "", False, 0, 0
        before = ""
        for number, line in source.lines():
            last = number
            if is_cue and line.strip():
                cue, first = cue + line, first or number
                continue
            if is_cue:
                yield from self._cue(source, cue, count, first, before)
                before, cue, is_cue, first = " ".join(cue.split()), "", False, 0
            if number == 1 and self.name == "vtt" and not line.startswith("WEBVTT"):
                raise source.error("the first line is not WEBVTT", "add it", 1)
            if _TIMES.match(line):
                is_cue = True
                count += 1
            elif "-->" in line:
                raise source.error(
                    f"{line.strip()[:60]!r} is no pair of times", "write it as 00:00:01,000 --> 00:00:02,000", number
                )
            yield line
        if is_cue:
            yield from self._cue(source, cue, count, first, before)
        if last and not count and self.name == "srt":
            raise source.error("it has no cue", "give a file of subtitles")

    def _cue(self, source: Source, cue: str, count: int, line: int, before: str) -> Iterator[Piece]:
        body = cue.rstrip("\r\n")
        end = "\r\n" if "\r\n" in cue else "\n"
        text = regex.sub(r"\s*[\r\n]+\s*", " ", body).strip()
        found = [Mark(*one.span(), one[0]) for one in _TAG.finditer(text)]
        marks = apart([*found, *find_marks(text, language=source.options.source_language)])
        segment = Segment(str(count), text, "cue", marks, before) if has_words(text, marks) else None

        def encode(new: str) -> str:
            flat = " ".join(new.split()).replace("-->", "→")
            return _broken(flat, end)

        yield message_slot(body, segment, encode, line)
        yield cue[len(body) :]


def _broken(text: str, end: str) -> str:
    """Return a text in two lines, if it is too long for one, broken at the blank that is nearest to the middle."""
    if len(text) <= LINE or is_unspaced(text):
        return text
    blanks = [n for n, sign in enumerate(text) if sign == " " and text.count("<", 0, n) == text.count(">", 0, n)]
    if not blanks:
        return text
    middle = min(blanks, key=lambda n: abs(n - len(text) / 2))
    return text[:middle] + end + text[middle + 1 :]
