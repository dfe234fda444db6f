"""Measures the translation memory: look-ups in a large one, reading it in, and what it adds to the intake of rows.

    taskset -c 0 python scripts/bench/content/memory.py --entries 94000
    taskset -c 0 python scripts/bench/content/memory.py --rows 100000

The sentences are made of syllables, by a fixed seed. With `--entries`, a memory of as many entries is read into an index, and
segments of three kinds are looked up in it: known ones, similar ones (a word of a known one was changed), and new ones. With
`--rows`, as many rows of translations are accepted three times: with the memory switched off, with an empty one, and with one of
`--entries` entries that knows nine of ten of them; and as many rows of chats with the memory off and on.
"""

import argparse
import itertools
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.memory.entry import Entry, Query
from jobs.memory.files import round_name, write_section
from jobs.memory.opening import open_index
from jobs.settings import MemorySettings, Settings
from jobs.store.local import LocalStore
from jobs.writing.templates import Templates

AT: Final = datetime(2026, 12, 1, tzinfo=UTC)
TEMPLATES: Final = ("translation_system.j2", "translation_user.j2")
LOOKUPS: Final = 1_000
_FIRST: Final = ("b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "fl", "gr", "st")
_LAST: Final = ("a", "e", "i", "o", "u", "ai", "ea", "ou", "an", "en", "in", "on", "ar", "er", "or")


def main() -> None:
    """Measure what was asked for, and print the figures."""
    parser = argparse.ArgumentParser(description="Time the translation memory.")
    parser.add_argument("--entries", type=int, default=94_000)
    parser.add_argument("--rows", type=int, default=0)
    args = parser.parse_args()
    texts = list(sentences(args.entries))
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
        if args.rows:
            intake(texts, args.rows, Path(folder))
        else:
            look_up(texts, Path(folder))
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def sentences(count: int) -> Iterator[str]:
    """Yield sentences of 3 to 20 words. Some words are frequent, as in a language."""
    rng = random.Random(7)
    words = ["".join(rng.choice(_FIRST) + rng.choice(_LAST) for _ in range(rng.randint(1, 4))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / (n + 1) for n in range(len(words))))
    for n in range(count):
        yield f"{' '.join(rng.choices(words, cum_weights=weights, k=rng.randint(3, 20)))} {n}".capitalize()


def fill(store: LocalStore, texts: Sequence[str]) -> None:
    """Write a memory of these texts into German."""
    template = Templates().messages_sha256(*TEMPLATES)
    entries = (
        Entry(one, one.upper(), "en", "de", AT, model="stub", template=template, verdict="fit", batch="b", row=n)
        for n, one in enumerate(texts)
    )
    write_section(store, "default", round_name("b", 1, AT), entries)


def look_up(texts: Sequence[str], folder: Path) -> None:
    """Read a memory in, and look up segments of three kinds."""
    store, rng = LocalStore(str(folder / "store")), random.Random(8)
    fill(store, texts)
    began = time.perf_counter()
    index = open_index(store, "default", folder)
    if index is None:
        raise RuntimeError("the memory was not written")
    took = time.perf_counter() - began
    size = sum(path.stat().st_size for path in folder.rglob("*.sqlite*"))
    print(f"{len(texts):,} entries read in: {took:.1f} s, {size / 2**20:.0f} MiB")
    known = rng.choices(texts, k=LOOKUPS)
    new = list(sentences(len(texts) + LOOKUPS))[-LOOKUPS:]
    query = Query((), "en", "de", model="stub", template=Templates().messages_sha256(*TEMPLATES))
    kinds: dict[str, tuple[Sequence[str], Callable[[str], Any]]] = {
        "known": (known, lambda one: index.known(query, one)),
        "similar": ([changed(one, rng) for one in known], lambda one: index.similar(query, one, 0.75)),
        "new": (["".join(rng.sample(one, len(one))) for one in new], lambda one: index.similar(query, one, 0.75)),
    }
    for name, (asked, look) in kinds.items():
        times, hits = [], 0
        for one in asked:
            began = time.perf_counter()
            hits += look(one) is not None
            times.append(1000 * (time.perf_counter() - began))
        last = statistics.quantiles(times, n=100)[-1]
        print(
            f"{name}: {statistics.median(times):.2f} ms in the middle, {last:.2f} ms at 99 %, {hits:,} of {LOOKUPS:,} found"
        )
    index.close()


def changed(text: str, rng: random.Random) -> str:
    """Return a text with another word in one place."""
    words = text.split()
    words[rng.randrange(len(words))] = "something"
    return " ".join(words)


def intake(texts: Sequence[str], rows: int, folder: Path) -> None:
    """Accept rows with and without the memory."""
    kinds = load_kinds()
    asked = {"kind": "translation", "source_language": "en", "target_language": "de", "format": "segment"}
    translations = [
        orjson.dumps({**asked, "text": texts[n % len(texts)] if n % 10 else f"Something new {n}"}) for n in range(rows)
    ]
    chats = [orjson.dumps({"kind": "chat", "prompt": texts[n % len(texts)]}) for n in range(rows)]
    for name, lines, enabled, filled in (
        ("chats, memory off", chats, False, True),
        ("chats, memory on", chats, True, True),
        ("translations, memory off", translations, False, True),
        ("translations, memory empty", translations, True, False),
        ("translations, memory full", translations, True, True),
    ):
        store = LocalStore(str(folder / name))
        if filled:
            fill(store, texts)
        settings = Settings(store_url=store.url, cache_dir=folder / name, memory=MemorySettings(enabled=enabled))
        if filled and enabled:
            index = open_index(store, "default", folder / name)  # so that only the look-ups are measured
            if index is not None:
                index.close()
        began, busy = time.perf_counter(), time.process_time()
        accept(store, lines, IntakeOptions(model="stub"), kinds=kinds, settings=settings, run_key=name)
        took, busy = time.perf_counter() - began, time.process_time() - busy
        print(f"{name}: {rows:,} rows in {took:.1f} s, {1e6 * busy / rows:.0f} µs of the processor a row")


if __name__ == "__main__":
    main()
