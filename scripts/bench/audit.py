"""Measures the time and the memory that the audit of a batch takes for many rows.

    python scripts/bench/audit.py --rows 1000000

The script makes rows of posts (30 words each on average) and translations for four tenants. For some tenants, posts are
near-duplicates of others or have the same opening. It prints the time of the audit (by the clock, and of the processor) without
that of making the rows, the highest memory of the process before and after the audit, and what the audit found.
"""

import argparse
import random
import resource
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from jobs.checks.batch.audit import AuditRow, audit

_T = TypeVar("_T")
_FIRST = "b c d f g h k l m n p r s t v w z br cr dr fl gr pl st tr".split()  # noqa: SIM905 - a list of sounds
_LAST = "a e i o u ai ea ou an en in on ar er or".split()  # noqa: SIM905


def main() -> None:
    """Audit the rows, and print the figures."""
    parser = argparse.ArgumentParser(description="Time the audit of a batch.")
    parser.add_argument("--rows", type=int, default=200_000)
    args = parser.parse_args()
    (making, making_busy), _ = _timed(lambda: sum(1 for _ in _rows(args.rows)))
    before = _peak()
    (wall, busy), found = _timed(lambda: audit(_rows(args.rows)))
    work = busy - making_busy
    print(
        f"{args.rows:,} rows: {wall - making:.1f} s, {work:.1f} s of the processor ({1e6 * work / args.rows:.0f} µs a row)"
    )
    print(f"peak memory: {before:.0f} MiB before, {_peak():.0f} MiB after")
    print(f"{len(found.clusters)} clusters named, {found.clusters_left_out:,} left out")
    for one in found.figures:
        print(one.model_dump_json())


def _timed(do: Callable[[], _T]) -> tuple[tuple[float, float], _T]:
    """Return the seconds that something took, by the clock and of the processor, and its result."""
    wall, busy = time.monotonic(), time.process_time()
    result = do()
    return (time.monotonic() - wall, time.process_time() - busy), result


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _rows(count: int) -> Iterator[AuditRow]:
    chance = random.Random(0)
    vocabulary = sorted({f"{a}{b}{c}{d}" for a in _FIRST for b in _LAST for c in _FIRST[::3] for d in _LAST[::4]})
    chance.shuffle(vocabulary)
    recent: dict[str, list[list[str]]] = {}
    for n in range(count):
        tenant = f"tenant-{n % 4}"
        text = [vocabulary[int(len(vocabulary) * chance.random() ** 3)] for _ in range(chance.randint(20, 40))]
        if n % 10 == 9:
            yield AuditRow(
                f"row-{n}", "translation", tenant, " ".join(text), f"source {chance.randrange(count)}", "en>de"
            )
            continue
        if n % 50 == 1 and tenant in recent:
            text = list(chance.choice(recent[tenant]))
            text[chance.randrange(len(text))] = "changed"
        elif n % 40 == 3:
            text[:5] = ["have", "you", "ever", "seen", "this"]
        if n % 97 == 0:
            recent[tenant] = [*recent.get(tenant, [])[-99:], text]
        yield AuditRow(f"row-{n}", "social_post", tenant, " ".join(text))


if __name__ == "__main__":
    main()
