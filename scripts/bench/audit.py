"""Measures the time and the memory that the audit of a batch takes for many rows.

    python scripts/bench/audit.py --rows 1000000
    python scripts/bench/audit.py --rows 1000000 --published

With `--published`, the rows lie in a store as a published round, and the errand of the fleet audits it: it reads the outputs and
the requests, and writes the report.

The script makes rows of posts (30 words each on average) and translations for four tenants. For some tenants, posts are
near-duplicates of others or have the same opening. It prints the time of the audit (by the clock, and of the processor) without
that of making the rows, the highest memory of the process before and after the audit, and what the audit found.
"""

import argparse
import hashlib
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import orjson

from jobs.batches.batch import Batch, BatchPaths, Done, LaneInput, PublishedFile
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import to_bytes
from jobs.checks.batch.audit import AuditRow, audit
from jobs.checks.batch.report import Audit
from jobs.kinds.registry import load_kinds
from jobs.publishing.auditing import Auditor, read_audit
from jobs.store.local import LocalStore

BATCH: Final = "night-1"
"""The id of the batch that is audited."""

_T = TypeVar("_T")
_FIRST = "b c d f g h k l m n p r s t v w z br cr dr fl gr pl st tr".split()  # noqa: SIM905 - a list of sounds
_LAST = "a e i o u ai ea ou an en in on ar er or".split()  # noqa: SIM905


def main() -> None:
    """Audit the rows, and print the figures."""
    parser = argparse.ArgumentParser(description="Time the audit of a batch.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--published", action="store_true", help="Audit a published round in a store.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
        if args.published:
            wall, busy, before, found = _of_a_store(args.rows, Path(folder))
        else:
            (making, making_busy), _ = _timed(lambda: sum(1 for _ in _rows(args.rows)))
            before = _peak()
            (wall, busy), found = _timed(lambda: audit(_rows(args.rows)))
            wall, busy = wall - making, busy - making_busy
    print(f"{args.rows:,} rows: {wall:.1f} s, {busy:.1f} s of the processor ({1e6 * busy / args.rows:.0f} µs a row)")
    print(f"peak memory: {before:.0f} MiB before, {_peak():.0f} MiB after")
    print(f"{len(found.clusters)} clusters named, {found.clusters_left_out:,} left out")
    for one in found.figures:
        print(one.model_dump_json())


def _of_a_store(count: int, folder: Path) -> tuple[float, float, float, Audit]:
    """Audit a published round. Returns its seconds by the clock and of the processor, the peak memory before, and the report."""
    store = LocalStore(str(folder / "store"))
    done = _publish(store, count)
    auditor = Auditor(store, load_kinds())
    before = _peak()
    (wall, busy), _ = _timed(auditor.audit)
    report = read_audit(store, BATCH, done)
    if report is None or store.list("unaudited"):
        raise RuntimeError("the round was not audited")
    return wall, busy, before, report


def _publish(store: LocalStore, count: int) -> Done:
    """Write a published round, with its note, as a publisher leaves it. Only translations have their requests in the input."""
    paths, now = BatchPaths(BATCH), datetime.now(UTC)
    folder = "published/1-bench"
    digest = hashlib.sha256()
    written = kinds = 0
    with store.writer(f"{paths.root}/{folder}/output.jsonl") as output, store.writer(paths.input("stub")) as requests:
        for number, row in enumerate(_rows(count)):
            values = {"row": number, "custom_id": row.custom_id, "tenant": row.tenant, "kind": row.kind}
            line = orjson.dumps({"batch_id": BATCH, **values, "output": {"text": row.text}}) + b"\n"
            digest.update(line)
            output.write(line)
            written += len(line)
            if row.source is not None:
                kinds += 1
                asked = {"text": row.source, "source_language": "en", "target_language": "de"}
                requests.write(RowRequest(number, number + 1, row.kind, "stub", asked).to_line())
    nothing = PublishedFile(rows=0, bytes=0, sha256=hashlib.sha256().hexdigest())
    whole = PublishedFile(rows=count, bytes=written, sha256=digest.hexdigest())
    done = Done(
        round=1,
        folder=folder,
        counts={"completed": count},
        files={"output.jsonl": whole, "errors.jsonl": nothing, "usage.json": nothing},
        segments_sha256="0" * 64,
        at=now,
    )
    batch = Batch(
        batch_id=BATCH,
        name=BATCH,
        tenant="default",
        priority=4,
        run_key="k",
        rows=count,
        refused=0,
        kinds={"translation": kinds, "social_post": count - kinds},
        lanes={"stub": LaneInput(model="stub", rows=count, bytes=0, sha256="0" * 64)},
        full_sha256="0" * 64,
        created_at=now,
    )
    store.create(paths.acceptance, to_bytes(batch))
    store.create(paths.unaudited(1), b"")
    store.create(paths.done(1), to_bytes(done))
    return done


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
