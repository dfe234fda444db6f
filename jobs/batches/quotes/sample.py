"""The sample of a batch that is quoted: some of its own rows run first, in draws, and the others wait.

    sample.json         the strata of the batch, and of each the rows that may be drawn, in a random order
    drawn-<n>.json      how many rows of each stratum may run by the n-th draw; the first draw needs no marker
    quoted-1.json       the quote (`quoted.py`)
    agreed-1.json       the answer to the quote: the other rows may run

Rule 48 of jobs/PROTOCOL.md says who makes them.

While a sample is drawn, the cursor of a lane does not count bytes. It is the number of bytes of the lane's input plus the number
of drawn rows that were fed, so no feeder can mistake one sort of cursor for the other. Both begin at 0.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, Field, model_validator

from jobs.batches.batch import Batch, BatchPaths, Count, LaneName, Moment, RoundNumber, Rows, StoredRecord
from jobs.batches.records import missing, read_record
from jobs.planning.quotes import Key, Stratum, next_round
from jobs.store.damage import damaged_file
from jobs.store.store import Store


class SampleRow(NamedTuple):
    """A row that may be drawn: its number, and the place of its line in the input of its lane, in bytes."""

    row: int
    offset: int
    length: int


class SampleStratum(BaseModel):
    """The rows of one kind, model and template. `template` is the shortened hash of the first prompt's, or empty.

    `prompt_tokens`, `completion_tokens` and `thought_tokens` are the most that all `rows` together may be charged for
    (`MostTokens` in jobs/kinds/first_prompts.py). `drawn` are the rows that may be drawn: the first n of them are a random sample
    of the stratum for every n.
    """

    model_config = StoredRecord.model_config

    kind: str
    model: str
    template: str
    lane: LaneName
    rows: Rows = Field(ge=1)
    prompt_tokens: Count
    completion_tokens: Count
    thought_tokens: Count
    drawn: tuple[tuple[Rows, Count, Count], ...]

    @property
    def key(self) -> Key:
        """The key of the stratum."""
        return Key(self.kind, self.model, self.template)


class Sample(StoredRecord):
    """`sample.json`: the strata of a batch. A quote stops at `most_rows` sampled rows, reached or not."""

    batch_id: str
    most_rows: Rows
    strata: tuple[SampleStratum, ...]

    @model_validator(mode="after")
    def _has_first_rows(self) -> "Sample":
        """Check that each stratum has the rows of the first draw."""
        for stratum, rows in zip(self.strata, self.first_draw, strict=True):
            if not rows <= len(stratum.drawn) <= stratum.rows:
                raise ValueError(f"strata: {stratum.kind} has {len(stratum.drawn)} rows to draw of {stratum.rows}")
        return self

    @property
    def first_draw(self) -> Sequence[int]:
        """The number of rows of each stratum in the first draw."""
        wanted = next_round({one.key: Stratum(one.rows, 0) for one in self.strata}, {})
        return [wanted[one.key] for one in self.strata]

    def rows_of(self, counts: Sequence[int], lane: str | None = None) -> list[SampleRow]:
        """Return the first rows of each stratum, as many as `counts` says, in input order; with `lane`, those of the lane."""
        rows = (
            SampleRow(*row)
            for stratum, count in zip(self.strata, counts, strict=True)
            if lane in (None, stratum.lane)
            for row in stratum.drawn[:count]
        )
        return sorted(rows, key=lambda one: one.row)

    def further(self, counts: Sequence[int], wanted: Mapping[Key, int]) -> Sequence[int]:
        """Return the counts with the wanted further rows, as far as the strata have rows to draw."""
        return [
            min(count + wanted.get(one.key, 0), len(one.drawn)) for one, count in zip(self.strata, counts, strict=True)
        ]


class Drawn(StoredRecord):
    """`drawn-<draw>.json`: how many rows of each stratum of the sample may run by now."""

    draw: int = Field(ge=2)
    rows: tuple[Rows, ...]
    at: Moment


class Agreed(StoredRecord):
    """`agreed-1.json`: the rows that were not drawn may run."""

    round: RoundNumber = 1
    at: Moment


class Quoting(NamedTuple):
    """How far a batch is quoted, as its markers show it. `draw` is the last draw, from 1.

    `rows` has the rows of each stratum that are drawn; None in the first draw, where `Sample.first_draw` has them. `is_quoted` is
    True if the quote is there, and waits for an answer.
    """

    draw: int
    rows: Sequence[int] | None
    is_quoted: bool


def read_sample(store: Store, batch: Batch) -> Sample:
    """Read the sample of a batch that is quoted. Raises StoreDamaged, and NoBatch if the batch was deleted."""
    path = BatchPaths(batch.batch_id).sample
    sample = read_record(store, path, Sample)
    if sample is None:
        raise missing(store, path)
    return sample


def drawn_counts(store: Store, batch: Batch, sample: Sample, quoting: Quoting) -> Sequence[int]:
    """Return how many rows of each stratum are drawn. Raises StoreDamaged if the marker of the draw has other strata."""
    if quoting.rows is None:
        return sample.first_draw
    if len(quoting.rows) != len(sample.strata):
        raise damaged_file(store, BatchPaths(batch.batch_id).drawn(quoting.draw), "rows: the sample has other strata")
    return quoting.rows


def cursor_of(lane_bytes: int, fed: int) -> int:
    """Return the cursor of a lane of which so many drawn rows were fed."""
    return lane_bytes + fed if fed else 0


def fed_by(lane_bytes: int, cursor: int, drawn: int) -> int:
    """Return how many of the `drawn` rows were fed. For a cursor of the other sort, all: nothing more is fed."""
    return 0 if cursor == 0 else cursor - lane_bytes if cursor > lane_bytes else drawn


def fed_a_part(lane_bytes: int, cursor: int, drawn: int | None) -> bool:
    """Whether a lane was fed fewer rows than may run: fewer than the `drawn` rows, or a sample alone if `drawn` is None."""
    return cursor > lane_bytes and (drawn is None or cursor - lane_bytes < drawn)
