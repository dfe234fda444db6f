"""Measures what a long glossary costs intake: rows per second with and without it, and the time to read it.

    taskset -c 0 python scripts/bench/content/terms.py --terms 50000 --rows 20000

The words are made of syllables, and rare ones are as rare as in a language (Zipf's law). The terms have one to three words. The
same rows are read with and without the glossary, in turn, and the best of the turns is printed.
"""

import argparse
import csv
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobs.batches.request_row import RowRequest
from jobs.formats.record import Record
from jobs.intake.row_reader import RowDefaults, RowReader
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.terms.row_glossaries import RowGlossaries

SYLLABLES: Final = [
    first + vowel + last for first in "bdfgklmnprstvw" for vowel in "aeiou" for last in ("", "n", "r", "st")
]
COMMON: Final = 500
"""The most frequent words, such as articles, are in no term."""

ENDINGS: Final = ("", "", "s", "es")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--terms", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--words", type=int, default=25, help="words of a row")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices(SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4)))) for _ in range(60_000)]
    weights = [1 / (n + 10) for n in range(len(vocabulary))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "glossary.csv"
        _write(path, vocabulary, options.terms, chance)
        settings = Settings(model="stub", terms={"files": [str(path)]})
        texts = [_text(vocabulary, weights, options.words, chance) for _ in range(options.rows)]
        records = [_record(n, text) for n, text in enumerate(texts)]
        start = time.perf_counter()
        glossaries = RowGlossaries(settings)
        glossaries.require("default")
        read = time.perf_counter() - start
        pair = glossaries.pair("default", "en", "de")
        if pair is None:
            raise SystemExit("the glossary has no terms")
        pair.places("x")
        print(f"{options.terms:,} terms: read in {read:.2f} s, indexed in {time.perf_counter() - start - read:.2f} s")
        best = {"without": 0.0, "with": 0.0}
        for _ in range(options.turns):
            for name, given in (("without", None), ("with", glossaries)):
                start = time.perf_counter()
                requests = _read(records, settings, given)
                best[name] = max(best[name], len(records) / (time.perf_counter() - start))
                if given:
                    found = sum(len(one.request.get("glossary", ())) for one in requests)
        start = time.perf_counter()
        for text in texts:
            pair.found_in(text)
        alone = len(records) / (time.perf_counter() - start)
        print(f"rows per second: {best['without']:,.0f} without, {best['with']:,.0f} with the glossary")
        print(f"texts per second, the look-up alone: {alone:,.0f}")
        print(f"terms found: {found / len(records):.1f} a row")
        print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB at most")


def _write(path: Path, vocabulary: Sequence[str], terms: int, chance: random.Random) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["en", "de"])
        rare, seen = vocabulary[COMMON:], set[str]()
        while len(seen) < terms:
            term = " ".join(chance.choices(rare, k=chance.choice((1, 2, 2, 2, 2, 3, 3, 3))))
            if term not in seen:
                seen.add(term)
                writer.writerow([term, f"Begriff {len(seen)}"])


def _text(vocabulary: Sequence[str], weights: Sequence[float], words: int, chance: random.Random) -> str:
    return " ".join(word + chance.choice(ENDINGS) for word in chance.choices(vocabulary, weights, k=words)) + "."


def _record(n: int, text: str) -> Record:
    values = {"kind": "translation", "text": text, "source_language": "en", "target_language": "de"}
    return Record(n + 1, b"", values)


def _read(records: Sequence[Record], settings: Settings, glossaries: RowGlossaries | None) -> list[RowRequest]:
    defaults = RowDefaults("translation", "stub", "default", 4, {})
    reader = RowReader(load_kinds(), settings.known_models, defaults, glossaries)
    rows = [reader.read(record, n) for n, record in enumerate(records)]
    return [row for row in rows if isinstance(row, RowRequest)]


if __name__ == "__main__":
    main()
