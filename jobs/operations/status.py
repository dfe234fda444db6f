"""The status of batches as data: counts by state, rates, cost so far, expected end, and the workers.

This module has only the values. `status_reader.py` fills them, and jobs/commands/views turns them into text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from jobs.batches.budgets.state import BudgetState
from jobs.batches.quotes.quoted import Quoted
from jobs.checks.batch.report import Audit
from jobs.lanes.protocol import WorkerRecord
from jobs.usage import Remembered, Usage

State = Literal[
    "open", "queued", "loading", "running", "paused", "quoted", "cancelling", "expiring", "publishing", "published"
]
"""`open` means not published, and no more is known, since no queue answers. `loading` means that workers load the model of the
rows that wait. `quoted` means that the batch is quoted, and waits for an answer. `publishing` means that the round waits for a
publisher, because every row has its outcome or the soft deadline has come. A batch is `paused` also if a budget is used up and
what was ready is published: it goes on once there is more.
"""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One batch at one moment. For a published batch, every number is the published one.

    Attributes:
        id: The batch's id.
        name: The name that it was given.
        tenant: The tenant that rows without one of their own are billed to.
        state: See `State`.
        round: The current round: 1, and one more for each reopening.
        rows: All rows of its input, those that intake refused among them.
        completed: Rows with an output.
        failed: Rows whose failure is final, those that intake refused among them.
        cancelled: Rows without an outcome when the batch was cancelled; 0 until the batch is published.
        expired: Rows without an outcome at the deadline; 0 until the batch is published.
        ready: Rows on the queue that a worker may take.
        delayed: Rows on the queue that are tried again later.
        leased: Rows that workers have under a lease.
        waiting: Rows that are not on the queue yet; without a queue, all rows that have no outcome.
        refused: Rows that intake refused. They count as failed, and are not part of the work.
        verdicts: The completed rows by verdict, fit or review; without rows that were not judged, and until the batch is
            published without those that completed in an earlier round.
        codes: The failed rows by the code of their failure, the most frequent first.
        usage: What completed rows used; an estimate until the batch is published.
        wasted: What failed rows and lost attempts used; an estimate until the batch is published.
        memory: What the translation memory answered for the completed rows; None if it was not asked, and until the batch is
            published.
        currency: The currency of the amounts, which are integers in billionths of it.
        created_at: When the batch was accepted, in UTC as all times here.
        deadline: The deadline that the batch was enqueued with; None if it has none.
        drawn: How many rows are drawn into the sample by which the batch is quoted; None unless it is being quoted.
        quote: The quote of the batch; None if it has none. A status of many batches shows it only while it waits for an answer.
        paused_reason: Why the batch paused itself; None unless it did.
        budget: How much of its budget is used; None if no budget limits the batch.
        published_at: When the latest round was published; None while the batch is open.
        delivered: Whether the published outputs are at the batch's output URL; None if it has no URL.
        audit: What the audit of the published texts found; None if they were not audited yet. In a status of many batches it
            has no clusters.
        late: The usage of attempts that ended after the batch was published; None unless the reader has `counts_late`.
        documents: How many documents its rows are the segments of; 0 if the rows came as rows.
        languages: The languages that these documents are translated into.
        rows_per_s: How many rows get an outcome in a second: the mean over the reader's last half minute or, at the reader's
            first looks, over the time since the first row was started. None if neither mean is known. The time before the first
            row, in which models are loaded, and the time in which no worker has a row are left out.
        tokens_per_s: Completion tokens in a second, over the same time as `rows_per_s`.
        expected_end: When the last row will be done if as many rows stay under way. It is reckoned in the tokens that each row
            is expected to take, since rows differ in length. None if there is no rate, or no worker was seen at work.
    """

    id: str
    name: str
    tenant: str
    state: State
    round: int
    rows: int
    completed: int
    failed: int
    cancelled: int
    expired: int
    ready: int
    delayed: int
    leased: int
    waiting: int
    usage: Usage
    wasted: Usage
    currency: str
    created_at: datetime
    refused: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    deadline: datetime | None = None
    paused_reason: str | None = None
    drawn: int | None = None
    quote: Quoted | None = None
    budget: BudgetState | None = None
    published_at: datetime | None = None
    delivered: bool | None = None
    audit: Audit | None = None
    late: Usage | None = None
    memory: Remembered | None = None
    documents: int = 0
    languages: Sequence[str] = ()
    rows_per_s: float | None = None
    tokens_per_s: float | None = None
    expected_end: datetime | None = None

    @property
    def finished(self) -> int:
        """How many rows have an outcome."""
        return self.completed + self.failed + self.cancelled + self.expired

    @property
    def work(self) -> int:
        """The number of rows to run: all rows except those that intake refused."""
        return self.rows - self.refused

    @property
    def worked(self) -> int:
        """The number of rows to run that have an outcome."""
        return self.finished - self.refused

    def describe_outcomes(self) -> str:
        """Return the outcomes in words: `12 rows: 10 completed (8 fit, 2 to review), 2 failed`."""
        named = {
            "completed": self.completed,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "expired": self.expired,
        }
        counts = describe_counts(named, self.verdicts)
        return f"{self.rows:,} row{'s' * (self.rows != 1)}: {counts}"

    def paused_in_words(self) -> str:
        """Return why the batch is paused, and how it goes on: `paused: ...; to go on: nightpress resume night-5f2c81`."""
        if self.budget is not None and self.budget.until is not None:
            return f"paused: {self.paused_reason}; it goes on by itself at {self.budget.until.isoformat()}"
        more = (
            f" --budget +10{self.budget.currency}"
            if self.budget is not None and self.budget.stopped_by is not None
            else ""
        )
        return f"paused: {self.paused_reason}; to go on: nightpress resume {self.id}{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return the flat object that `status --json` prints: counts, the six usage fields, and times in RFC 3339."""
        values = asdict(self)
        usage, wasted = values.pop("usage"), values.pop("wasted")
        audit = None if self.audit is None else self.audit.model_dump(mode="json")
        quote = None if self.quote is None else self.quote.model_dump(mode="json")
        return {**values, **usage, "wasted": wasted, "audit": audit, "quote": quote}


@dataclass(frozen=True, slots=True)
class Status:
    """Batches and workers at one moment.

    Attributes:
        batches: Each batch, in the order in which they were asked for.
        workers: The workers that the queue has heard of lately, in the order of lane and name.
        queue_fault: Why the queue could not be asked; None if it answered.
        paused: The lanes that give out no rows, each with the reason why it paused itself. The reason is empty if an operator
            paused the lane.
    """

    batches: Sequence[BatchStatus]
    workers: Sequence[WorkerRecord]
    queue_fault: str | None = None
    paused: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `status --json` prints."""
        return {
            "batches": [batch.as_dict() for batch in self.batches],
            "workers": [asdict(worker) for worker in self.workers],
            "paused": dict(self.paused),
        }


def describe_verdicts(verdicts: Mapping[Any, int]) -> str:
    """Return the verdicts on completed rows in words: `8 fit, 2 to review`. Empty if no row was judged."""
    named = {"fit": "fit", "review": "to review"}
    return ", ".join(f"{verdicts[verdict]:,} {words}" for verdict, words in named.items() if verdicts.get(verdict))


def describe_memory(memory: Remembered) -> str:
    """Return what the memory answered in words: `1,900 of 2,000 segments from the memory, which saved 12,345 tokens`."""
    saved = memory.prompt_tokens + memory.completion_tokens
    tokens = f", which saved {saved:,} tokens" if saved else ""
    return f"{memory.known:,} of {memory.segments:,} segments from the memory{tokens}"


def describe_counts(counts: Mapping[Any, int], verdicts: Mapping[Any, int]) -> str:
    """Return rows by status in words, and verdicts behind the completed rows: `3 completed (2 fit, 1 to review), 2 failed`."""
    judged = f" ({words})" if (words := describe_verdicts(verdicts)) else ""
    return ", ".join(
        f"{rows:,} {status}{judged if status == 'completed' else ''}"
        for status, rows in counts.items()
        if rows or status == "completed"
    )
