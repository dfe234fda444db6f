"""The quote of a batch as it is stored: what the whole takes, from the rows that were drawn (rule 49 of jobs/PROTOCOL.md)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

from jobs.batches.batch import Batch, BatchPaths, Moment, RoundNumber, Rows, StoredRecord
from jobs.batches.records import read_record
from jobs.store.store import Store

Amount = Annotated[int, Field(ge=0)]


class Range(BaseModel):
    """An amount of the whole batch: what is expected, and the ends of its 95 % interval.

    `most` is the most that the batch takes, by the `max_tokens` of its rows; None if that is not known.
    """

    model_config = StoredRecord.model_config

    low: Amount
    expected: Amount
    high: Amount
    most: Amount | None = None


class QuotedStratum(BaseModel):
    """The rows of one kind, model and template: all of them, those that were sampled, and those of these that failed.

    `tokens` and `charge` are expected for all of them.
    """

    model_config = StoredRecord.model_config

    kind: str
    model: str
    template: str
    rows: Rows
    sampled: Rows
    failed: Rows
    tokens: Amount
    charge: Amount


class Quoted(StoredRecord):
    """`quoted-1.json`: what the rows that intake accepted take, the sampled ones included, which are not paid twice.

    `tokens` are the tokens of prompts and completions that are charged, and `prompt_tokens` is the expected part of prompts.
    `device_ns` is the time of devices in nanoseconds, with that of failed attempts. `charge` is in billionths of `currency`.
    `failed` counts the sampled rows that failed, and `codes` has them by the code of their failure; no such row is charged.
    `reached` is whether the intervals of tokens and of the charge are as narrow as `half_width`, a share of what is expected;
    `at_most_rows` is whether the sample ended because it has as many rows as a sample may have, and `ended_by_budget` whether it
    ended because a budget paid for no further row. `largest_share` is the share of
    the largest sampled row in the tokens of the sample.
    """

    round: RoundNumber = 1
    rows: Rows
    sampled: Rows
    failed: Rows
    codes: Mapping[str, Rows]
    half_width: float
    reached: bool
    at_most_rows: bool
    ended_by_budget: bool = False
    largest_share: float
    tokens: Range
    prompt_tokens: Amount
    device_ns: Range
    charge: Range
    sample_charge: Amount
    currency: str
    strata: tuple[QuotedStratum, ...]
    at: Moment


def read_quoted(store: Store, batch: Batch) -> Quoted | None:
    """Return the quote of a batch; None if there is none. Raises StoreDamaged."""
    return read_record(store, BatchPaths(batch.batch_id).quoted, Quoted)
