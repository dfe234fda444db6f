"""Similar texts by their trigrams: the letters of a text in threes, as SQLite's tokenizer `trigram` has them.

Two similar texts share most trigrams. A text is divided into parts, and the two rarest trigrams of a part name the texts that
have both. A change in one place leaves the other parts as they are. Only the texts so named are compared letter by letter.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from rapidfuzz.distance import Levenshtein

PARTS: Final = 5
"""A text is divided into this many parts."""
POSTINGS: Final = 300
"""At most this many texts are read for one part. A part that more texts have says little."""
CANDIDATES: Final = 48
"""At most this many texts are compared letter by letter: those that share most parts."""
LONGEST: Final = 2_000
"""A longer text has no similar ones: a model is not helped by a hint of this length."""


def trigrams_of(text: str) -> list[str]:
    """Return the trigrams of a text in their order, in lower case."""
    folded = text.lower()
    return [folded[n : n + 3] for n in range(len(folded) - 2)]


def counted(texts: Iterable[str]) -> Counter[str]:
    """Return how many of the texts have each trigram."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(trigrams_of(text)))
    return counts


class Trigrams:
    """Finds similar texts in the tables of an index."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def nearest(self, text: str, threshold: float) -> Iterator[tuple[int, float]]:
        """Yield the number and the similarity of each text that is similar enough, the most similar first."""
        if len(text) > LONGEST:
            return
        shared: Counter[int] = Counter()
        matching = "SELECT rowid FROM trigrams WHERE trigrams MATCH ? LIMIT ?"
        for rarest in self._parts(text):
            asked = " AND ".join(f'"{one.replace(chr(34), 2 * chr(34))}"' for one in rarest)
            shared.update(number for (number,) in self._table.execute(matching, (asked, POSTINGS)))
        most = sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES]
        found = []
        for number, _ in most:
            (source,) = self._table.execute("SELECT source FROM texts WHERE id = ?", (number,)).fetchone()
            longer = max(len(text), len(source))
            most_changes = int((1 - threshold) * longer + 1e-6)
            changes = Levenshtein.distance(text, source, score_cutoff=most_changes)
            if changes <= most_changes:
                found.append((number, 1 - changes / longer))
        yield from sorted(found, key=lambda item: (-item[1], item[0]))

    def _parts(self, text: str) -> Iterator[list[str]]:
        """Yield for each part its two rarest trigrams that do not overlap, of those that some text has."""
        wanted = [trigram for trigram in trigrams_of(text) if "\0" not in trigram]
        marks = ",".join("?" * len(set(wanted)))
        these = f"trigram IN ({marks})"
        found = self._table.execute(
            f"SELECT trigram, texts FROM trigram_counts WHERE {these} AND texts > 0",  # noqa: S608 - marks alone
            tuple(set(wanted)),
        )
        counts: dict[str, int] = dict(found)
        size = max(3, -(-len(wanted) // PARTS))
        for start in range(0, len(wanted), size):
            part = [(counts[one], n) for n, one in enumerate(wanted[start : start + size], start) if one in counts]
            if not part:
                continue
            _, first = min(part)
            others = [(count, n) for count, n in part if abs(n - first) > 2 and wanted[n] != wanted[first]]
            yield [wanted[first], *([wanted[min(others)[1]]] if others else [])]
