"""Audits a batch: finds near-duplicates, same openings, texts that vary too little, and translations that disagree.

`audit` reads the rows once. Keys, signatures and beginnings of texts go to temporary files (about 350 bytes a row); memory holds
about 6 bytes a row, a sample of each kind and tenant, and one slice of keys while it is sorted. Rows of different tenants are
never compared with each other.

Translations may be alike if their sources are, so they are only checked for equal sources with different targets, and for equal
targets of different sources. Texts of other kinds must differ from each other, whatever they are made from.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from jobs.checks.batch.columns import KeyColumn, TextColumn
from jobs.checks.batch.limits import AuditLimits
from jobs.checks.batch.near_duplicates import NearDuplicates
from jobs.checks.batch.report import SEVERITIES, Audit, Cluster, Code, Figures
from jobs.checks.batch.variety import Sample, compression, distinct, self_bleu, words_of
from jobs.writing.words.words import is_unspaced, words

LEAST_SAME_OPENING: Final = 3
"""A cluster of rows with the same opening has at least this many rows, even in a small batch."""
BEGINNING: Final = 80
"""A cluster shows this many characters at the beginning of its text."""
MOST_BEGINNINGS: Final = 5
"""A cluster shows the beginnings of at most this many texts that begin in different ways."""
LONGEST_SAMPLE: Final = 1_000
"""A sample keeps this many characters at the beginning of a text."""
MOST_WORDS: Final = 5_000
"""Only this many words at the beginning of a text are compared to find near-duplicates."""


class AuditRow(NamedTuple):
    """A row of a batch, as the audit reads it. A row with several variants comes once for each of them, with the same number."""

    custom_id: str
    kind: str
    tenant: str
    text: str
    """The main text of the output."""
    source: str | None = None
    """The text that was translated; None for other kinds."""
    pair: str = ""
    """The other things that decide a translation: its languages and glossary. Only rows with the same `pair` are compared."""
    row: int | None = None
    """The number of the row in its batch. None: the rows are numbered from 0, in the order in which they are added."""


def audit(
    rows: Iterable[AuditRow | tuple[str, str, str, str, str | None]],
    limits: AuditLimits | None = None,
    folder: Path | None = None,
) -> Audit:
    """Audit the rows of a batch. `folder` is where temporary files are written; None: the system's folder for them."""
    with _Auditor(limits or AuditLimits(), folder) as auditor:
        for row in rows:
            auditor.add(AuditRow(*row))
        return auditor.result()


class _Group:
    """The rows of a kind and tenant."""

    def __init__(self, kind: str, tenant: str, sample: Sample | None) -> None:
        self.kind, self.tenant, self.sample = kind, tenant, sample
        self.rows = 0
        self.counts = Counter[str]()
        self.repeating = 0


class _Auditor:
    def __init__(self, limits: AuditLimits, folder: Path | None) -> None:
        self._limits = limits
        self._stack = ExitStack()
        enter = self._stack.enter_context
        self._near = enter(NearDuplicates(limits.jaccard, folder))
        self._texts = enter(TextColumn(folder))
        self._sources, self._targets, self._openings, self._groups_of = (enter(KeyColumn(folder)) for _ in range(4))
        self._numbers_in_batch = enter(KeyColumn(folder, bits=32))
        self._groups: list[_Group] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._rows = 0
        self._left_out = 0

    def __enter__(self) -> "_Auditor":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, row: AuditRow) -> None:
        """Add the next row."""
        number = self._number(row.kind, row.tenant)
        group = self._groups[number]
        group.rows += 1
        self._texts.add(row.custom_id, " ".join(row.text[: 4 * BEGINNING].split())[:BEGINNING])
        self._groups_of.add(number + 1)
        self._numbers_in_batch.add(self._rows if row.row is None else row.row)
        follows = row.kind in self._limits.translations and row.source is not None
        self._sources.add(_key(number, row.pair, row.source) if follows and row.source else 0)
        self._targets.add(_key(number, row.pair, row.text) if follows and row.source else 0)
        found = [] if follows else words(row.text[: 20 * MOST_WORDS].casefold())[:MOST_WORDS]
        long_enough = len(found) >= self._limits.least_words
        if group.sample is not None and (follows or long_enough):
            group.sample.add(row.text)
        self._near.add(found if long_enough else None, number)
        length = self._limits.opening_words * (2 if found and is_unspaced(row.text[:100]) else 1)
        self._openings.add(_key(number, "", " ".join(found[:length])) if long_enough and len(found) >= length else 0)
        self._rows += 1

    def result(self) -> Audit:
        """Return the audit of the rows that were added."""
        repeating = bytearray(self._rows)
        clusters = [
            *self._near_duplicates(repeating),
            *self._same_openings(repeating),
            *self._named("inconsistent", self._disagreeing(self._sources, self._targets)),
            *self._named("reused", self._disagreeing(self._targets, self._sources)),
        ]
        for row, repeats in enumerate(repeating):
            if repeats:
                self._group(row).repeating += 1
        return Audit(
            rows=self._rows,
            limits=self._limits,
            figures=tuple(self._figures(group) for group in self._groups),
            clusters=tuple(clusters),
            clusters_left_out=self._left_out,
        )

    def _number(self, kind: str, tenant: str) -> int:
        if (number := self._numbers.get((kind, tenant))) is None:
            number = self._numbers[kind, tenant] = len(self._groups)
            limits = self._limits
            has_sample = number < limits.most_samples
            sample = Sample(limits.sample, LONGEST_SAMPLE, f"{limits.seed} {kind} {tenant}") if has_sample else None
            self._groups.append(_Group(kind, tenant, sample))
        return number

    def _group(self, row: int) -> _Group:
        return self._groups[self._groups_of.key(row) - 1]

    def _near_duplicates(self, repeating: bytearray) -> list[Cluster]:
        sizes = self._near.sizes()
        count = sum(map(bool, sizes))
        most = nlargest(min(count, self._limits.most_clusters), enumerate(sizes), key=lambda item: (item[1], -item[0]))
        members: dict[int, list[int]] = {first: [] for first, _ in most}
        for row, first in enumerate(self._near.firsts()):
            if not sizes[first]:
                continue
            self._group(row).counts["near_duplicate"] += 1
            repeating[row] = row != first
            if first in members and len(members[first]) < self._limits.most_ids:
                members[first].append(row)
        self._left_out += count - len(most)
        return [self._cluster("near_duplicate", size, members[first]) for first, size in most]

    def _same_openings(self, repeating: bytearray) -> list[Cluster]:
        def too_many() -> Iterable[list[int]]:
            for rows in self._openings.groups():
                share = len(rows) / self._group(rows[0]).rows
                if len(rows) >= LEAST_SAME_OPENING and share > self._limits.most_same_opening:
                    for row in rows[1:]:
                        repeating[row] = 1
                    yield rows

        return self._named("same_opening", too_many())

    def _disagreeing(self, keys: KeyColumn, others: KeyColumn) -> Iterable[list[int]]:
        """Yield the rows with the same key, for each key whose rows differ in the other column."""
        for rows in keys.groups():
            first = others.key(rows[0])
            if any(others.key(row) != first for row in rows[1:]):
                yield rows

    def _named(self, code: Code, clusters: Iterable[Sequence[int]]) -> list[Cluster]:
        """Return the largest clusters, and the number of rows in all clusters."""
        most: list[tuple[int, int, Sequence[int]]] = []
        for rows in clusters:
            self._group(rows[0]).counts[code] += len(rows)
            most.append((len(rows), -rows[0], rows[: self._limits.most_ids]))
            if len(most) >= 2 * self._limits.most_clusters:
                self._left_out += len(most) - self._limits.most_clusters
                most = nlargest(self._limits.most_clusters, most)
        kept = nlargest(self._limits.most_clusters, most)
        self._left_out += len(most) - len(kept)
        return [self._cluster(code, size, rows) for size, _, rows in kept]

    def _cluster(self, code: Code, size: int, rows: Sequence[int]) -> Cluster:
        group = self._group(rows[0])
        texts = [self._texts.at(row) for row in rows]
        return Cluster(
            code=code,
            severity=SEVERITIES[code],
            kind=group.kind,
            tenant=group.tenant,
            rows=size,
            row_numbers=tuple(self._numbers_in_batch.key(row) for row in rows),
            custom_ids=tuple(custom_id for custom_id, _ in texts),
            beginning=texts[0][1],
            beginnings=_different(beginning for _, beginning in texts),
            share=round(size / group.rows, 4),
        )

    def _figures(self, group: _Group) -> Figures:
        limits, texts = self._limits, group.sample.texts if group.sample else []
        read = words_of(texts)
        figures = {
            "collapse": round(group.repeating / group.rows, 4),
            "distinct_1": round(distinct(read, 1), 4) if texts else None,
            "distinct_2": round(distinct(read, 2), 4) if texts else None,
            "self_bleu": round(self_bleu(read), 4) if texts else None,
            "compression": round(compression(texts), 2) if texts else None,
        }
        judged = len(texts) >= limits.least_sample and group.kind not in limits.translations
        beyond = {
            "inconsistent": group.counts["inconsistent"] / group.rows > limits.most_inconsistent,
            "collapse": (figures["collapse"] or 0) > limits.most_collapse,
            "distinct_2": judged and (figures["distinct_2"] or 0) < limits.least_distinct_2,
            "self_bleu": judged and (figures["self_bleu"] or 0) > limits.most_self_bleu,
            "compression": judged and (figures["compression"] or 0) > limits.most_compression,
        }
        return Figures(
            kind=group.kind,
            tenant=group.tenant,
            rows=group.rows,
            repeating=group.repeating,
            sampled=len(texts),
            over=tuple(name for name, is_beyond in beyond.items() if is_beyond),
            **{code: group.counts[code] for code in SEVERITIES},
            **figures,
        )


def _different(beginnings: Iterable[str]) -> tuple[str, ...]:
    """Return some of the beginnings, each once, in the order in which they come."""
    return tuple(islice({one.casefold(): one for one in beginnings if one}.values(), MOST_BEGINNINGS))


def _key(group: int, pair: str, text: str) -> int:
    """Return a key of 64 bits, never 0, for a text of a group. Runs of white space are one space."""
    data = f"{group}\0{pair}\0{' '.join(text.split())}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest()) or 1
