"""Divides one text into the posts of a thread, at the ends of its sentences and without a model.

Each post keeps the limit of its platform, in the platform's own units. The row's call to action, link and hashtags stand in the
last post, since readers have read everything there. On request each post ends with its number: `(1/5)`. The posts are about
equally long: of all divisions that fit, the one with the least sum of squared lengths is taken.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import regex

from jobs.checks.masks import sentence_spans
from jobs.checks.reading import language_of
from jobs.errors import CheckFailed
from jobs.writing.platforms import Limit

FEWEST: Final = 2
MOST: Final = 25
"""A thread has at least `FEWEST` and at most `MOST` posts. X itself takes 25 posts of a thread at once."""

MOST_UNITS: Final = 150
"""A text of more sentences is divided between groups of sentences, so that a hostile text does not take long."""

_HALF: Final = regex.compile("[\ud800-\udfff]")
"""Half of a character, which sentencex does not take."""
_BETWEEN: Final = 2
"""Between two posts a text has at most a line left blank, which neither of them has."""
_WORDS: Final = regex.compile(r"[\p{L}\p{N}]")
_ITEM: Final = regex.compile(r"\(?\d{1,3}[.)]")
"""The number of a list item, which sentencex takes for a sentence."""


def numbering(number: int, total: int) -> str:
    """Return the number of a post as it stands at its end: ` (1/5)`."""
    return f" ({number}/{total})"


def divided(text: str, limit: Limit, count: int | None, ending: str = "", *, numbered: bool = False) -> list[str]:
    """Return the posts of a thread: `count` posts, or as few as the text needs, but at least two, if it is None.

    Raises:
        CheckFailed: `post_too_long` if a sentence or the text is too long; `thread_incomplete` if there are too few sentences.
    """
    fewest, most = count or FEWEST, count or MOST
    if (length := limit.length(text)) > most * (limit.max_length + _BETWEEN):
        raise CheckFailed("post_too_long", f"the text has {length} characters: too many for {most} posts")
    units = _units(text)
    if len(units) < fewest:
        message = f"the text has too few sentences for {fewest} posts: it has {len(units)}"
        raise CheckFailed("thread_incomplete", message)
    measured = _Measured(text, units, limit)
    for total in [count] if count else range(FEWEST, min(MOST, len(units)) + 1):
        longest = numbering(total, total) if numbered else ""
        if (ends := _ends(measured, total, longest, ending)) is not None:
            slices = [text[units[start][0] : units[end - 1][1]] for start, end in pairwise([0, *ends])]
            posts = [one + (numbering(n, total) if numbered else "") for n, one in enumerate(slices, 1)]
            return [*posts[:-1], posts[-1] + ending]
    raise CheckFailed("post_too_long", _reason(text, units, limit, count, ending, numbered=numbered))


def _units(text: str) -> list[tuple[int, int]]:
    """Return start and end of the parts between which a text may be divided: its sentences.

    Emoji and marks alone belong to the sentence before them, and the number of a list item to the item.
    """
    units: list[tuple[int, int]] = []
    joins = False
    text = _HALF.sub("\ufffd", text)
    for start, end in sentence_spans(text, language_of(text)[0] or None):
        if units and (joins or not _WORDS.search(text, start, end)):
            units[-1] = (units[-1][0], end)
        else:
            units.append((start, end))
        joins = _ITEM.fullmatch(text, units[-1][0], end) is not None or not _WORDS.search(text, units[-1][0], end)
    while len(units) > MOST_UNITS:
        units = [(pair[0][0], pair[-1][1]) for n in range(0, len(units), 2) if (pair := units[n : n + 2])]
    return units


class _Measured:
    """Measures the parts of a text from one unit to another, each once, however many divisions are tried."""

    def __init__(self, text: str, units: Sequence[tuple[int, int]], limit: Limit) -> None:
        self._text = text
        self._limit = limit
        self._lengths: dict[tuple[int, int], tuple[int, int]] = {}
        self.units = units

    def length(self, start: int, end: int, more: str) -> int | None:
        """Return the length of the units from `start` to before `end`, with a text `more` that begins with a space or line break;
        None if this is too long for a post.
        """
        if (known := self._lengths.get((start, end))) is None:
            words = self._text[self.units[start][0] : self.units[end - 1][1]]
            size = 0 if self._limit.max_bytes is None else len(words.encode(errors="replace"))
            known = self._lengths[start, end] = (self._limit.length(words), size)
        length, size = known[0] + self._limit.length(more), known[1] + len(more.encode(errors="replace"))
        too_many_bytes = self._limit.max_bytes is not None and size > self._limit.max_bytes
        return None if too_many_bytes or length > self._limit.max_length else length


def _ends(measured: _Measured, total: int, suffix: str, ending: str) -> list[int] | None:
    """Return behind which unit each of `total` posts ends; None if the text cannot be divided so that each post fits."""
    units, costs = measured.units, _costs(measured, suffix, ending)
    best: list[dict[int, tuple[int, int]]] = [{0: (0, 0)}]
    """For each number of posts: where the last of them ends -> the least cost of all, and where the last begins."""
    for _ in range(total):
        further: dict[int, tuple[int, int]] = {}
        for start, (cost, _) in best[-1].items():
            for end, more in costs[start].items():
                if end not in further or cost + more < further[end][0]:
                    further[end] = (cost + more, start)
        best.append(further)
    if len(units) not in best[total]:
        return None
    ends = [len(units)]
    for number in range(total, 1, -1):
        ends.append(best[number][ends[-1]][1])
    return ends[::-1]


def _costs(measured: _Measured, suffix: str, ending: str) -> list[dict[int, int]]:
    """Return for each unit with which a post may begin: behind which unit it may end -> its squared length."""
    size = len(measured.units)
    costs: list[dict[int, int]] = [{} for _ in range(size + 1)]
    for start in range(size):
        for end in range(start + 1, size + 1):
            if (length := measured.length(start, end, suffix)) is None:
                break
            if end == size and ending:
                length = measured.length(start, end, suffix + ending)
            if length is not None:
                costs[start][end] = length**2
    return costs


def _reason(
    text: str, units: Sequence[tuple[int, int]], limit: Limit, count: int | None, ending: str, *, numbered: bool
) -> str:
    """Return in words why a text cannot be divided."""
    suffix = numbering(count or MOST, count or MOST) if numbered else ""
    on = f"a post on {limit.name} takes {limit.max_length}"
    for start, end in units:
        if not limit.fits(text[start:end] + suffix):
            return f"a sentence has {limit.length(text[start:end])} characters, and {on}: {text[start:end][:60]!r}"
    start, end = units[-1]
    if not limit.fits(text[start:end] + suffix + ending):
        left = limit.max_length - limit.length(suffix + ending)
        length = limit.length(text[start:end])
        return f"the last sentence has {length} characters, and link, hashtags and call to action leave {left}"
    return f"the text has {limit.length(text)} characters: too many for {count or MOST} posts, since {on}"
