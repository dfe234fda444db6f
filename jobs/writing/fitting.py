"""Brings a title or a description to a range of lengths without a model. It cuts only at the ends of words and sentences.

An ideograph is as wide as two letters on a page of results, so it counts as two characters here. Text without spaces between
words is cut only at marks and after Japanese particles, since the ends of its words are not known.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import regex

from jobs.writing.characters import clusters
from jobs.writing.prose import sentences, whole_length
from jobs.writing.words.function_words import is_function_word
from jobs.writing.words.keywords import Reader, folded
from jobs.writing.words.widths import shown_length
from jobs.writing.words.words import is_unspaced

TITLE: Final = (50, 60)
DESCRIPTION: Final = (140, 160)
"""The fewest and the most characters: `TITLE` of a title, `DESCRIPTION` of a description."""

MOST_TEXT: Final = 2_000
"""At most this many characters of a text are read."""

_EDGE: Final = regex.compile(
    r"(?r)[\s,;:\-\u2013\u2014|/&+\u00b7\u2022(\[{\u00ab\u201c\u2018\u00bf\u00a1\u3001\uff0c\uff1b\uff1a]+$"
)
"""Matches an end that a cut text must not have: a comma, a dash, an opening bracket."""
_COMMA: Final = regex.compile(r"(?r)[\s,;:\-\u2013\u2014\u3001\uff0c\uff1b\uff1a\u060c\u061b]+$")
_ELLIPSIS: Final = regex.compile(r"(?r)(?:\u2026|\.{3,})$")
_MARK: Final = regex.compile(r"[\u3001\u3002\uff0c\uff01\uff1f\uff1a\uff1b\u300d\u300f\uff09]")
_HIRAGANA: Final = regex.compile(r"\p{Hiragana}")
_NO_HIRAGANA: Final = regex.compile(r"[\p{Han}\p{Katakana}]")
_PARTICLE: Final = regex.compile(r"(?<=[\p{Han}\p{Katakana}\u30fc])[をのにがはとでもへや]$")
"""Matches a Japanese particle at the end, which joins the words before it to those after it."""
_BEYOND: Final = 30
"""A cut may lie up to this many characters beyond the most, since signs and words at its end may still be removed."""
_WORD_AT_END: Final = regex.compile(r"(?r)[\p{L}\p{N}\p{M}'\u2019-]+$")
_CLAUSE_END: Final = regex.compile(
    r"[,;:\u3001\uff0c\uff1b\uff1a\u060c\u061b]|\s[-\u2013\u2014|]|[\u2013\u2014|](?=\s)"
)
_PAIRS: Final = {
    "(": ")",
    "[": "]",
    "{": "}",
    "\u00ab": "\u00bb",
    "\u201e": "\u201c",
    "\u300c": "\u300d",
    "\uff08": "\uff09",
}


def fitted_title(
    title: str,
    *,
    least: int = TITLE[0],
    most: int = TITLE[1],
    keywords: Sequence[str] = (),
    language: str | None = None,
    more: Sequence[str] = (),
) -> str | None:
    """Return the title with `least` to `most` characters, or None if it cannot be brought into this range.

    A title that is too long is cut after a word. Cuts that keep more of the keywords are preferred, then cuts at the end of a
    clause. If the title, or its best cut at a clause, is too short, one of `more` is added after a colon, such as a heading or a
    keyword; if none is long enough, several are, with commas between them. Without `more` the answer is None.
    """
    text = _uncut(title, language)
    if least <= shown_length(text) <= most:
        return text
    if shown_length(text) > most:
        if cut := _best_cut(text, least, most, keywords, language):
            return cut
        text = _best_cut(text, most // 3, least, keywords, language) or ""
    joined = "\uff1a" if is_unspaced(text) else ": "
    base = text.rstrip(" .:;,\u3002\uff1a")
    if not base or base[-1] in "?!\uff1f\uff01":
        joined = joined[1:] or " "
    additions = [one for one in map(_one_line, more) if base and one and not _overlap(one, base)]
    several = list[str]()
    for addition in additions:
        if not any(_overlap(addition, one) for one in several):
            several.append(addition.rstrip(" .:;,\u3002\uff1a"))
    chained = [
        (", " if not is_unspaced(base) else "\u3001").join(several[:count]) for count in range(2, 1 + len(several[:5]))
    ]
    for addition in [*additions, *chained]:
        longer = f"{base}{joined}{addition}"
        fitted = longer if shown_length(longer) <= most else _best_cut(longer, least, most, keywords, language)
        if fitted is None or shown_length(fitted) < least:
            continue
        if not _overlap(
            fitted[len(base) + len(joined) :], base
        ):  # a cut may leave only words that the title has already
            return fitted
    return None


_MOST_STARTS: Final = 12
"""A description is tried to be continued with at most this many different sentences."""


def _overlap(one: str, other: str) -> bool:
    """Whether one of two texts holds the other."""
    return folded(one) in folded(other) or folded(other) in folded(one)


def fitted_description(
    description: str,
    *,
    least: int = DESCRIPTION[0],
    most: int = DESCRIPTION[1],
    keywords: Sequence[str] = (),
    language: str | None = None,
    more: Sequence[str] = (),
) -> str | None:
    """Return the description with `least` to `most` characters, or None if it cannot be brought into this range.

    A cut at the end of a sentence is preferred. If none is in the range, the text is cut after a word and gets a full stop. A
    description that is too short is continued with the sentences of `more`, such as those of the article's first paragraph. If
    their cuts do not fit, it is continued with those behind the first one, and so on.
    """
    text = _uncut(description, language)
    if least <= shown_length(text) <= most:
        return text
    starts = range(min(len(more), _MOST_STARTS)) if shown_length(text) < least else range(1)
    fitted = (_fitted(text, least, most, keywords, language, more[start:]) for start in starts)
    return next((one for one in fitted if one is not None), None)


def _fitted(
    text: str, least: int, most: int, keywords: Sequence[str], language: str | None, more: Sequence[str]
) -> str | None:
    """Return a text that is out of its range, continued with the sentences of `more` and cut; None if no cut is in the range."""
    known = folded(text)
    for addition in map(_one_line, more):
        if shown_length(text) >= least:
            break
        if addition and folded(addition) not in known:
            text = _continued(text, addition)
            known = folded(text)
    if shown_length(text) < least:
        return None
    if shown_length(text) <= most:
        return text
    whole = [cut for cut in _sentence_cuts(text) if least <= shown_length(cut) <= most]
    if whole:
        kept = _counter(keywords, language)
        return max(whole, key=lambda cut: (kept(cut), len(cut)))
    stop = _stop(text, language)
    cut = _best_cut(text, least - shown_length(stop), most - shown_length(stop), keywords, language)
    return None if cut is None else cut if _is_ended(cut) else f"{cut}{stop}"


def _uncut(text: str, language: str | None) -> str:
    """Return a text on one line, without an ellipsis or a comma at its end."""
    text = _one_line(text)
    if cut := _ELLIPSIS.search(text):
        return _tidy(text[: cut.start()], language)
    return _COMMA.sub("", text)


def _one_line(text: str) -> str:
    return " ".join(text[:MOST_TEXT].split())


def _continued(text: str, addition: str) -> str:
    if not text:
        return addition
    ended = text if _is_ended(text) else f"{text.rstrip(' ,;:')}{_stop(text, None)}"
    return f"{ended}{'' if is_unspaced(text) else ' '}{addition}"


def _is_ended(text: str) -> bool:
    return whole_length(text) == len(text.rstrip())


def _stop(text: str, language: str | None) -> str:
    """Return the full stop that the script of a text uses."""
    if is_unspaced(text):
        return "" if regex.search(r"\p{Thai}", text) else "\u3002"
    return (
        "\u0964" if regex.search(r"\p{Devanagari}", text) and (language or "hi").startswith(("hi", "mr", "ne")) else "."
    )


def _sentence_cuts(text: str) -> Iterator[str]:
    """Yield the text up to the end of each of its sentences."""
    start = 0
    for sentence in sentences(text):
        start = text.find(sentence, start) + len(sentence)
        yield text[:start]


def _best_cut(text: str, least: int, most: int, keywords: Sequence[str], language: str | None) -> str | None:
    """Return the best beginning of a text that has `least` to `most` characters and ends in a whole word; None if none does."""
    ends = _word_ends(text, most)
    cuts = {cut for end in ends if least <= shown_length(cut := _tidy(text[:end], language)) <= most}
    if not cuts:
        return None
    found = (match.start() for match in _CLAUSE_END.finditer(text, endpos=ends[-1] + 1))
    clauses = {_tidy(text[:end], language) for end in found}
    kept = _counter(keywords, language)
    return max(cuts, key=lambda cut: (kept(cut), cut in clauses or _is_ended(cut), shown_length(cut)))


def _word_ends(text: str, most: int) -> list[int]:
    """Return the positions where words end, up to somewhat more than `most` characters."""
    ends, length, position = [], 0, 0
    found = clusters(text)
    for cluster, following in pairwise([*found, " "]):
        length += shown_length(cluster)
        position += len(cluster)
        if length > most + _BEYOND:
            break
        if following.isspace() or _MARK.match(cluster) or (_HIRAGANA.match(cluster) and _NO_HIRAGANA.match(following)):
            ends.append(position)
    return ends


def _tidy(text: str, language: str | None) -> str:
    """Return a cut text without function words, commas, dashes, and an open bracket with the text after it, at its end."""
    while True:
        before = text
        text = _PARTICLE.sub("", _EDGE.sub("", text))
        for opening, closing in _PAIRS.items():
            if text.count(opening) > text.count(closing):
                text = text[: text.rfind(opening)].rstrip()
        if (word := _WORD_AT_END.search(text)) and word.start() > 0 and is_function_word(word[0], language):
            text = text[: word.start()].rstrip()
        if text == before:
            return text


def _counter(keywords: Sequence[str], language: str | None) -> Callable[[str], int]:
    """Return a function that counts the keywords that a text has."""
    reader = Reader(keywords, language)
    return lambda text: sum(count > 0 for count in reader.counts(text))
