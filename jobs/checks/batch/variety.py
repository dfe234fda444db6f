"""Variety: measures how different the texts of a sample are from each other."""

import math
import random
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from jobs.writing.words.words import is_unspaced, words

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_BLEU_TEXTS: Final = 50
"""Self-BLEU compares at most this many texts with each other."""
MOST_BLEU_WORDS: Final = 200
"""Self-BLEU reads at most this many words of a text."""
LONGEST_GRAM: Final = 4
_SMALL: Final = 0.1
"""The number of shared runs that is assumed if none is shared, so that BLEU is not 0 (smoothing 1 of Chen and Cherry, 2014)."""


class Sample:
    """Keeps `size` of the added texts, chosen at random with equal chances. The seed makes the choice repeatable."""

    def __init__(self, size: int, longest: int, seed: str) -> None:
        self.texts: list[str] = []
        self._size, self._longest = size, longest
        self._random = random.Random(seed)
        self._seen = 0

    def add(self, text: str) -> None:
        """Offer a text to the sample. Only its first `longest` characters are kept."""
        self._seen += 1
        if len(self.texts) < self._size:
            self.texts.append(text[: self._longest])
        elif (place := int(self._random.random() * self._seen)) < self._size:
            self.texts[place] = text[: self._longest]


def distinct(texts: Sequence[Sequence[str]], length: int) -> float:
    """Return the share of different runs of `length` words among all runs of the texts; 1.0 if there is none."""
    grams = [gram for text in texts for gram in zip(*(text[n:] for n in range(length)), strict=False)]
    return len(set(grams)) / len(grams) if grams else 1.0


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Return the mean BLEU-4 of each text with all others as its references: 1.0 if the texts are the same; 0.0 for one text."""
    chosen = [text[:MOST_BLEU_WORDS] for text in texts if text][:MOST_BLEU_TEXTS]
    if len(chosen) < 2:
        return 0.0
    counts = [[_grams(text, length) for text in chosen] for length in range(1, LONGEST_GRAM + 1)]
    highest = [_two_highest(one) for one in counts]
    return sum(_bleu(n, chosen, counts, highest) for n in range(len(chosen))) / len(chosen)


def compression(texts: Sequence[str]) -> float:
    """Return how many times smaller the texts become by compression with Zstandard."""
    data = "\n".join(texts).encode("utf-8", "replace")
    return len(data) / len(zstd.compress(data)) if data else 1.0


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """Return the words of each text in lower case. In a script without spaces, each pair of signs counts as a word."""
    return [
        list(map("".join, pairwise(found))) if is_unspaced(text) else found
        for text in texts
        for found in (words(text.casefold()),)
    ]


_Gram = tuple[str, ...]


def _grams(text: Sequence[str], length: int) -> Counter[_Gram]:
    return Counter(zip(*(text[n:] for n in range(length)), strict=False))


def _two_highest(counts: Sequence[Counter[_Gram]]) -> dict[_Gram, tuple[int, int]]:
    """Return the two highest counts of each run in any text. They give the highest count in all *other* texts."""
    highest: dict[_Gram, tuple[int, int]] = {}
    for one in counts:
        for gram, count in one.items():
            first, second = highest.get(gram, (0, 0))
            highest[gram] = (count, first) if count > first else (first, max(second, count))
    return highest


def _bleu(
    n: int,
    texts: Sequence[Sequence[str]],
    counts: Sequence[Sequence[Counter[_Gram]]],
    highest: Sequence[dict[_Gram, tuple[int, int]]],
) -> float:
    length = len(texts[n])
    logs = []
    for own, best in zip((one[n] for one in counts), highest, strict=True):
        if not (total := own.total()):
            continue
        shared = sum(
            min(count, second if count == first else first)
            for gram, count in own.items()
            for first, second in (best[gram],)
        )
        logs.append(math.log((shared or _SMALL) / total))
    nearest = min((len(text) for k, text in enumerate(texts) if k != n), key=lambda other: (abs(other - length), other))
    brevity = min(0.0, 1 - nearest / length)
    return math.exp(sum(logs) / len(logs) + brevity)
