"""Notes texts that are hard to read: many long sentences, as Yoast counts them, or a high LIX.

How many words make a sentence long depends on the language; the numbers are those of yoastseo. LIX is the sum of two numbers: the
mean words in a sentence, and the percent of words with more than six letters.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from jobs.checks import reading
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.quoting import shortened
from jobs.findings import Severity
from jobs.writing.words.words import primary

LONG: Final[Mapping[str, int]] = {
    **dict.fromkeys(("ca", "es", "fa", "gl", "it", "pt"), 25),
    **dict.fromkeys(("he", "ru", "tr", "uk"), 15),
}
"""Language -> the most words that a sentence may have without being long. Other languages use the limit `sentence_words`."""

LONG_UNSPACED: Final = 40
"""In Chinese and Japanese a sentence with more signs than this is long."""

LIX_LANGUAGES: Final = frozenset(
    ("af", "ca", "da", "de", "en", "es", "fr", "gl", "it", "nb", "nl", "nn", "no", "pt", "sv")
)
"""Languages for which LIX is measured. In others, such as Finnish, even easy texts have long words."""

_FEWEST_SENTENCES: Final = 5
"""A text with fewer sentences than this is not judged by its share of long ones."""

_LONG_WORD: Final = 6


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    for piece in subject.pieces[:1]:
        words_of = reading.keys if piece.is_unspaced else _words
        all_of_it = [(span, words_of(piece.prose[slice(*span)])) for span in piece.spans]
        sentences = [(span, words) for span, words in all_of_it if len(words) > 1 and not _is_no_prose(piece, span)]
        if len(sentences) >= _FEWEST_SENTENCES:
            yield from _long_sentences(piece, sentences, limits)
            yield from _lix(piece, [words for _, words in sentences], limits)


def _words(sentence: str) -> list[str]:
    """Return the words between spaces, without the marks at their ends. This is quicker than a search for words in any script."""
    return [word for part in sentence.split() if (word := part.strip(_MARKS))]


_MARKS: Final = ' .,;:!?()[]"*_>#|+=/\u2013\u2014-\u2026\u201c\u201d\u201e\u00ab\u00bb\u2022'


def _is_no_prose(piece: Piece, span: tuple[int, int]) -> bool:
    return piece.text.startswith(("#", "|"), span[0])


def _long_sentences(
    piece: Piece, sentences: list[tuple[tuple[int, int], list[str]]], limits: Limits
) -> Iterator[Broken]:
    most = LONG.get(primary(piece.language), limits["sentence_words"])
    if piece.is_unspaced:
        most = max(most, LONG_UNSPACED)
    long = [(len(words), span) for span, words in sentences if len(words) > most]
    percent = round(100 * len(long) / len(sentences), 1)
    if percent > limits["percent"]:
        longest, span = max(long)
        words = shortened(piece.text[slice(*span)])
        message = f"{percent:g} % of the sentences have more than {most} words; the longest has {longest}: {words!r}"
        yield Broken(message, percent, limits["percent"], piece.place(*span))


def _lix(piece: Piece, sentences: list[list[str]], limits: Limits) -> Iterator[Broken]:
    if primary(piece.language) not in LIX_LANGUAGES:
        return
    words = [word for sentence in sentences for word in sentence]
    long = sum(len(word) > _LONG_WORD for word in words)
    lix = round(len(words) / len(sentences) + 100 * long / len(words), 1)
    if lix > limits["lix"]:
        yield Broken(f"the text is hard to read: its LIX is {lix:g}", lix, limits["lix"], piece.place())


CHECKS: Final = (
    Check(
        "readability",
        Severity.NOTE,
        "Too many sentences are long (percent of them, and words of a long one), or the LIX is too high.",
        _find,
        {"percent": 25, "sentence_words": 20, "lix": 60},
    ),
)
