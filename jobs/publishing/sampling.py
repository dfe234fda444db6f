"""Sampling brings the quote of a batch a step further: it draws further rows, or fixes the quote (rule 49 of jobs/PROTOCOL.md).

It reads storage alone, so any sweeper may do it, and whatever is killed, the next one goes on from the markers. A step is made
when every drawn row has an outcome. Its marker is created once, so of several sweepers one decides.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.output_rows import code_of
from jobs.batches.quotes.quoted import Quoted, QuotedStratum, Range
from jobs.batches.quotes.sample import Drawn, Sample, SampleStratum, drawn_counts, read_sample
from jobs.batches.rounds import Clock, create_marker
from jobs.batches.segments.files import each_heads, each_segments, list_files, until_read
from jobs.batches.segments.line import Outcome
from jobs.logs import logger
from jobs.planning.intervals import Interval
from jobs.planning.quotes import HALF_WIDTH, Measure, Quote, Stratum, further_rows, quote
from jobs.planning.sketch import Sketch
from jobs.prices import Prices
from jobs.store.store import Store
from jobs.usage import Usage

NO_BOUND: Final = 1 << 200
"""The bound of an amount that has none, above every sum."""


@dataclass
class _Row:
    """A drawn row: its outcome, and the device time of all attempts."""

    outcome: Outcome | None = None
    device_ns: int = 0

    @property
    def usage(self) -> Usage:
        """What the row is charged for; nothing if it failed."""
        done = self.outcome is not None and self.outcome.status == "completed"
        return self.outcome.usage if self.outcome is not None and done else Usage()

    def take(self, outcome: Outcome) -> None:
        """Add a line of the row. The completed line with the lowest fence wins, else the final failure with the lowest."""
        self.device_ns += outcome.usage.device_ns + outcome.wasted.device_ns
        if (outcome.status == "completed" or outcome.final) and (
            self.outcome is None or _rank(outcome) < _rank(self.outcome)
        ):
            self.outcome = outcome


class _Measures(NamedTuple):
    """Three amounts of a batch."""

    tokens: Measure
    charge: Measure
    device_ns: Measure


@dataclass
class Sampling:
    """Draws the samples of open batches, and fixes their quotes.

    `is_spent` tells whether a budget pays for no further row of a batch, and every granted row has its outcome: the quote then
    rests on the drawn rows that ran.
    """

    store: Store
    prices: Prices
    clock: Clock
    is_spent: Callable[[OutcomeIndex], bool] = lambda _: False
    _samples: dict[str, tuple[Batch, Sample]] = field(default_factory=dict)

    def draw_on(self, index: OutcomeIndex) -> None:
        """Create the marker of the next draw, or the quote, if every drawn row has an outcome. A paused batch is left alone.

        The index of a batch that is being quoted is refreshed before. Raises StoreDamaged, StoreUnavailable, NoBatch.
        """
        batch = index.batch
        if index.current.quoting is not None:
            index.refresh()
        current, quoting = index.current, index.current.quoting
        if quoting is None or quoting.is_quoted or current.closed or current.done or current.paused:
            self._samples.pop(batch.batch_id, None)
            return
        sample = self._sample_of(batch)
        counts = drawn_counts(self.store, batch, sample, quoting)
        drawn = {one.row for one in sample.rows_of(counts)}
        is_whole = all(map(index.has_outcome, drawn))
        if not is_whole and not self.is_spent(index):
            return
        rows = _read_rows(self.store, batch, drawn)
        strata = [
            [rows[row] for row, _, _ in stratum.drawn[:count] if index.has_outcome(row)]
            for stratum, count in zip(sample.strata, counts, strict=True)
        ]
        measures = _measured(sample, strata, self.prices)
        wanted = further_rows((measures.tokens, measures.charge), sample.most_rows)
        further = sample.further(counts, wanted)
        paths = BatchPaths(batch.batch_id)
        if is_whole and sum(further) > sum(counts):
            marker = Drawn(draw=quoting.draw + 1, rows=tuple(further), at=self.clock())
            create_marker(self.store, batch, paths.drawn(marker.draw), marker)
            logger().info("batch.drawn", batch=batch.batch_id, draw=marker.draw, rows=sum(further))
        else:
            quoted = _quoted(sample, strata, measures, self.prices, self.clock)
            quoted = quoted.model_copy(update={"ended_by_budget": not is_whole})
            create_marker(self.store, batch, paths.quoted, quoted)
            logger().info("batch.quoted", batch=batch.batch_id, rows=quoted.sampled, reached=quoted.reached)

    def drawn_in(self, index: OutcomeIndex) -> Mapping[str, int]:
        """Return how many rows of each lane are drawn by now; nothing once all rows may run."""
        if index.current.quoting is None:
            return {}
        sample = self._sample_of(index.batch)
        counts = drawn_counts(self.store, index.batch, sample, index.current.quoting)
        return Counter(one.lane for one, count in zip(sample.strata, counts, strict=True) for _ in range(count))

    def _sample_of(self, batch: Batch) -> Sample:
        known = self._samples.get(batch.batch_id)
        if known is None or known[0] != batch:
            known = self._samples[batch.batch_id] = batch, read_sample(self.store, batch)
        return known[1]


def _rank(outcome: Outcome) -> tuple[bool, int]:
    return outcome.status != "completed", outcome.fence


def _read_rows(store: Store, batch: Batch, drawn: set[int]) -> Mapping[int, _Row]:
    """Read what became of the drawn rows."""

    def read() -> Mapping[int, _Row]:
        rows: dict[int, _Row] = {row: _Row() for row in drawn}
        for outcome in _outcomes(store, BatchPaths(batch.batch_id), drawn):
            if outcome.row in rows:
                rows[outcome.row].take(outcome)
        return rows

    return until_read(store, read)


def _outcomes(store: Store, paths: BatchPaths, rows: set[int]) -> Iterator[Outcome]:
    """Yield the outcomes of all segments with one of these rows, each segment once.

    Files that hold no such row, as those of refused rows, are not read. Raises Compacted if a file was compacted meanwhile.
    """
    listing, seen = list_files(store, paths), set[str]()
    files = {
        path: sum(head.bytes for head in heads)
        for path, heads in each_heads(store, [*listing.alone, *listing.compacted])
        if any(line.row in rows for head in heads for line in head.rows)
    }
    for _, segments in each_segments(store, files):
        for segment in segments:
            if segment.head.name not in seen:
                seen.add(segment.head.name)
                yield from segment.outcomes()


def _measured(sample: Sample, strata: Sequence[Sequence[_Row]], prices: Prices) -> _Measures:
    """Return the strata and the sketches of tokens, charge and device time."""
    thinking = {
        stratum.model
        for stratum, rows in zip(sample.strata, strata, strict=True)
        if any(row.outcome is not None and row.outcome.receipt.get("reasoning_tokens") for row in rows)
    }

    def of(bound: Callable[[SampleStratum], int], value: Callable[[_Row], int]) -> Measure:
        sketches = {one.key: Sketch.of(map(value, rows)) for one, rows in zip(sample.strata, strata, strict=True)}
        bounds = {}
        for one in sample.strata:
            most, found = bound(one), sketches[one.key]
            # a bound below what the sample shows is none: the kind asks for more than it told
            holds = found.total <= most and (not found.count or found.total * one.rows <= most * found.count)
            bounds[one.key] = Stratum(one.rows, most if holds else NO_BOUND)
        return bounds, sketches

    def most_completion(one: SampleStratum) -> int:
        return one.completion_tokens + one.thought_tokens * (one.model in thinking)

    def most_charge(one: SampleStratum) -> int:
        return _most_charge(prices, one.model, one.prompt_tokens, most_completion(one)) + one.rows

    return _Measures(
        tokens=of(lambda one: one.prompt_tokens + most_completion(one), _tokens_of),
        charge=of(most_charge, lambda row: row.usage.charge),
        device_ns=of(lambda _: NO_BOUND, lambda row: row.device_ns),
    )


def _tokens_of(row: _Row) -> int:
    return row.usage.prompt_tokens + row.usage.completion_tokens


def _most_charge(prices: Prices, model: str, prompt: int, completion: int) -> int:
    """Return the charge of so many tokens, of which none, or all of the prompt, came from a cache: the higher of the two."""
    usages = (Usage(prompt, cached, completion) for cached in (0, prompt))
    return max(prices.price(usage, model=model, device="").charge for usage in usages)


def _quoted(
    sample: Sample, strata: Sequence[Sequence[_Row]], measures: _Measures, prices: Prices, clock: Clock
) -> Quoted:
    tokens, charge, device_ns = (quote(*measure) for measure in measures)
    rows = [row for stratum in strata for row in stratum]
    currencies = Counter(
        named for row in rows if row.outcome is not None and (named := row.outcome.receipt.get("currency"))
    )
    codes = Counter(
        code_of(row.outcome.error) for row in rows if row.outcome is not None and row.outcome.status != "completed"
    )
    sampled_tokens = sum(map(_tokens_of, rows))
    prompts = [sum(row.usage.prompt_tokens for row in stratum) for stratum in strata]
    reached = tokens.reached and charge.reached
    return Quoted(
        rows=sum(one.rows for one in sample.strata),
        sampled=len(rows),
        failed=codes.total(),
        codes=dict(codes.most_common()),
        half_width=HALF_WIDTH,
        reached=reached,
        at_most_rows=not reached and len(rows) >= sample.most_rows,
        largest_share=max(map(_tokens_of, rows), default=0) / sampled_tokens if sampled_tokens else 0.0,
        tokens=_range(tokens),
        prompt_tokens=sum(
            total * one.rows // max(1, len(of_one))
            for total, one, of_one in zip(prompts, sample.strata, strata, strict=True)
        ),
        device_ns=_range(device_ns),
        charge=_range(charge),
        sample_charge=sum(row.usage.charge for row in rows),
        currency=currencies.most_common(1)[0][0] if currencies else prices.currency,
        strata=tuple(
            QuotedStratum(
                kind=one.kind,
                model=one.model,
                template=one.template,
                rows=one.rows,
                sampled=len(of_one),
                failed=sum(row.outcome is not None and row.outcome.status != "completed" for row in of_one),
                tokens=round(measures.tokens[1][one.key].mean * one.rows),
                charge=round(measures.charge[1][one.key].mean * one.rows),
            )
            for one, of_one in zip(sample.strata, strata, strict=True)
        ),
        at=clock(),
    )


def _range(found: Quote) -> Range:
    ends: Interval = found.tokens
    most = found.bound if found.bound < NO_BOUND else None
    return Range(low=int(ends.low), expected=round(ends.expected), high=-int(-ends.high // 1), most=most)
