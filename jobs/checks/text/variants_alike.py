"""Finds variants of a text that are too few or too alike, and posts of a thread that say the same.

`likeness` compares two texts in any script. A row asks for its variants in the field `variants`; the output has them in
`variants`, and the posts of a thread in `thread`.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.quoting import shortened
from jobs.findings import Place, Severity
from jobs.writing.hashtags import HASHTAG
from jobs.writing.words.words import is_unspaced, keys

RUN: Final = 3
"""The number of words in a run."""
RUN_OF_SIGNS: Final = 5
"""The number of signs in a run of a script without spaces between words, where a sign is about half a word."""
_SIGN: Final = regex.compile(r"[\p{L}\p{N}]\p{M}*")
_NUMBERING: Final = regex.compile(r"\(\d{1,2}/\d{1,2}\)")
_APPENDED: Final = ("call_to_action", "link")
"""Fields of a request whose texts stand in each variant."""

MOST_COMPARED: Final = 25
"""At most this many texts are compared: the posts of the longest thread."""


def likeness(one: str, other: str, limits: Mapping[str, Any]) -> str | None:
    """Return in words why two texts are alike; None if they differ.

    They are alike if they have the same words, if their first `opening_words` words are the same (0: openings are not compared),
    or if they share more than `share` of the runs of three words of the shorter one. This share is at least as high as the
    Jaccard index of the runs, and finds a text that another one only continues. In a script without spaces two signs count as
    a word in openings, and a run has five signs. Case, accents as separate signs, punctuation and emoji do not count.
    """
    unspaced = is_unspaced(one) and is_unspaced(other)
    first, second = _units(one, unspaced), _units(other, unspaced)
    if first == second:
        return "they have the same words"
    opening = int(limits["opening_words"]) * (2 if unspaced else 1)
    if opening and len(first) >= opening and first[:opening] == second[:opening]:
        return f"they begin with the same words, {shortened(one.strip()[:40])!r}"
    size = RUN_OF_SIGNS if unspaced else RUN
    runs, others = _runs(first, size), _runs(second, size)
    least = min(len(runs), len(others))
    share = len(runs & others) / least if least else 0.0
    if share > limits["share"]:
        return f"they share {share:.0%} of their runs of {RUN} words"
    return None


def own_words(text: str, request: Mapping[str, Any]) -> str:
    """Return a text without the request's call to action, link and hashtags, and without the number of a post."""
    for name in _APPENDED:
        if isinstance(added := request.get(name), str) and added:
            text = text.replace(added, " ")
    return _NUMBERING.sub(" ", HASHTAG.sub(" ", text) if request.get("hashtags") else text)


def _units(text: str, unspaced: bool) -> Sequence[str]:
    text = unicodedata.normalize("NFKC", text)
    return [sign.casefold() for sign in _SIGN.findall(text)] if unspaced else keys(text)


def _runs(units: Sequence[str], size: int) -> frozenset[tuple[str, ...]]:
    size = max(1, min(size, len(units)))
    return frozenset(zip(*(units[n:] for n in range(size)), strict=False))


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    variants = _texts(subject.output.get("variants"))
    wanted = subject.request.get("variants")
    if isinstance(wanted, int) and wanted > 1 and (found := max(1, len(variants))) < wanted:
        message = f"{found} of the {wanted} variants are there: the others repeated them or could not be used"
        yield Broken(message, found, wanted)
    yield from _alike("variants", variants, subject.request, limits)
    posts = {**limits, "opening_words": 0}
    yield from _alike("thread", _texts(subject.output.get("thread")), subject.request, posts)


def _alike(name: str, texts: Sequence[str], request: Mapping[str, Any], limits: Limits) -> Iterator[Broken]:
    """Yield each text that is like one before it."""
    words = [own_words(text, request) for text in texts[:MOST_COMPARED]]
    for n, text in enumerate(words):
        for k in range(n):
            if reason := likeness(text, words[k], limits):
                place = Place(field=f"{name}.{n}", start=0, end=len(texts[n]))
                yield Broken(f"{name}.{n} is like {name}.{k}: {reason}", where=place)
                break


def _texts(value: object) -> Sequence[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


CHECKS: Final = (
    Check(
        "variants_alike",
        Severity.REVIEW,
        "There are as many variants as the row asks for, and no two begin with the same `opening_words` words or share more than "
        "`share` of the runs of three words of the shorter one. The posts of a thread do not share so many either.",
        _find,
        {"share": 0.4, "opening_words": 5},
    ),
)
