"""Checks that each keyword of an article occurs, that none occurs too often, and that the first ones stand where search engines
look.

Forms of a keyword count (jobs/writing/words/keywords.py). The first `focus` keywords must also occur often enough, and stand in
the title, in the first paragraph and in a heading; a title has no room for more keywords. The density is the percent of the words
that are occurrences of a keyword. It is judged in texts of at least 100 words, as Yoast does.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.article.parts import Part, parts_of
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.findings import Severity
from jobs.writing.words.keywords import Reader
from jobs.writing.words.words import is_unspaced, words

LEAST_WORDS: Final = 100
"""The density is judged in a text of at least this many words."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    given = subject.request.get("keywords")
    if not isinstance(given, list | tuple) or not subject.pieces:
        return
    keywords = list(dict.fromkeys(keyword for keyword in given if isinstance(keyword, str) and keyword.strip()))
    if not keywords:
        return
    body, reader = subject.pieces[0], Reader(keywords, subject.pieces[0].language)
    parts = parts_of(body.text)
    headings = "\n".join(part.heading.text for part in parts if part.heading)
    in_headings = reader.counts(headings)
    counts = [a + b for a, b in zip(reader.counts("\n".join(part.prose for part in parts)), in_headings, strict=True)]
    for keyword, count in zip(keywords, counts, strict=True):
        if not count:
            yield Broken(f"the keyword {keyword!r} does not occur", 0, 1, None, Severity.FAIL)
    total = sum(part.count for part in parts) + len(words(headings))
    yield from _densities(body, list(zip(keywords, counts, strict=True)), total, limits)
    yield from _places(subject, parts, reader, in_headings, counts, limits)


def _densities(body: Piece, found: Sequence[tuple[str, int]], total: int, limits: Limits) -> Iterator[Broken]:
    if total < LEAST_WORDS:
        return
    for n, (keyword, count) in enumerate(found):
        units = len(words(keyword)) if is_unspaced(keyword) else 1
        density, least, most = 100 * count * units / total, limits["least_density"], limits["most_density"]
        where = body.find(keyword)
        times = f"the keyword {keyword!r} occurs {count} times in {total:,} words, which is {density:.2g} %"
        if density > most:
            yield Broken(f"{times}: more than {most:g} %", round(density, 3), most, where)
        elif count and n < limits["focus"] and density < least:
            yield Broken(f"{times}: less than {least:g} %", round(density, 3), least, where)


def _places(
    subject: Subject,
    parts: Sequence[Part],
    reader: Reader,
    in_headings: Sequence[int],
    counts: Sequence[int],
    limits: Limits,
) -> Iterator[Broken]:
    """Yield a fault for each place that lacks a focus keyword. `_find` reports keywords that occur nowhere."""
    body, title = subject.pieces[0], subject.piece("title")
    first = next((part.paragraph for part in parts if part.paragraph), None)
    in_title = reader.counts(title.text) if title else ()
    in_first = reader.counts(body.text[first[0] : first[1]]) if first else ()
    for n in [n for n in range(min(limits["focus"], len(counts))) if counts[n]]:
        keyword = reader.keywords[n].text
        if title and not in_title[n]:
            yield Broken(f"the keyword {keyword!r} is not in the title", 0, 1, title.place())
        if first and not in_first[n]:
            yield Broken(f"the keyword {keyword!r} is not in the first paragraph", 0, 1, body.place(*first))
        if any(part.heading for part in parts) and not in_headings[n]:
            yield Broken(f"the keyword {keyword!r} is in no heading", 0, 1)


CHECKS: Final = (
    Check(
        "keyword_use",
        Severity.REVIEW,
        "Each keyword occurs (if not, the article fails), at most at `most_density` percent of the words. The first `focus` "
        "keywords occur at `least_density` percent, and in the title, in the first paragraph and in a heading.",
        _find,
        {"least_density": 0.5, "most_density": 3.0, "focus": 1},
    ),
)
