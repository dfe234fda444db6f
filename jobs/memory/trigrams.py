"""Similar texts by their trigrams: the letters of a text in threes, as SQLite's tokenizer `trigram` has them.

Two similar texts share most trigrams, so only the texts that have a few of the rare ones are compared. The rare ones are taken
from each part of the text, since a change in one place changes all trigrams there.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from rapidfuzz.distance import Levenshtein

PARTS: Final = 4
"""A text is divided into this many parts."""
OF_PART: Final = 3
"""So many of the rarest trigrams of a part are looked up."""
POSTINGS: Final = 2_000
"""At most this many texts are read for one trigram. A rarer one would say more."""
CANDIDATES: Final = 64
"""At most this many texts are compared letter by letter: those that share most of the trigrams that were looked up."""
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
        for trigram in self._chosen(text):
            asked = f'"{trigram.replace(chr(34), 2 * chr(34))}"'
            matching = "SELECT rowid FROM trigrams WHERE trigrams MATCH ? LIMIT ?"
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

    def _chosen(self, text: str) -> Iterator[str]:
        """Yield the rarest trigrams of each part that some text has."""
        wanted = [trigram for trigram in trigrams_of(text) if "\0" not in trigram]
        marks = ",".join("?" * len(set(wanted)))
        these = f"trigram IN ({marks})"
        found = self._table.execute(
            f"SELECT trigram, texts FROM trigram_counts WHERE {these} AND texts > 0",  # noqa: S608 - marks alone
            tuple(set(wanted)),
        )
        counts: dict[str, int] = dict(found)
        size = -(-len(wanted) // PARTS) or 1
        chosen: dict[str, None] = {}
        for start in range(0, len(wanted), size):
            part = sorted(
                {one for one in wanted[start : start + size] if one in counts}, key=lambda one: (counts[one], one)
            )
            chosen.update(dict.fromkeys(part[:OF_PART]))
        yield from chosen
