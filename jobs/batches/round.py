"""A round is one run of a batch to a published state, as its markers show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.batches.batch import Closed, Done, Paused
from jobs.batches.quotes.sample import Quoting
from jobs.batches.segments.head import HeadRow
from jobs.batches.segments.line import EVERY_ROUND


@dataclass(frozen=True, slots=True)
class Round:
    """The current round of a batch, as its markers were when they were read.

    `before` is the marker `done` of the round before this one; None in round 1. `sent_back` maps each row that was ever sent
    back by name, or renewed, to the last round that was opened for the row. `renewed` maps each row that this round renews to the
    texts that it must not repeat. `paused` is None if the round was not paused or was resumed.
    `may_pause` is False once the round was paused, since a round is paused at most once. `continues` is True if the round
    follows a soft deadline: jobs that ran when the round before was closed may finish. `given_up` is True if the batch was
    cancelled after the soft deadline had closed this round, or the round that this one continues. `quoting` is None once every
    row of the batch may run: it is not quoted, or somebody has agreed to its quote, or this is a further round. `named` maps each
    row that was sent back by name to the last round for which it was. `budget_entries` is the number of the last entry in the log
    of the batch's budgets; 0 if there is none.
    """

    number: int
    deadline: datetime | None
    closed: Closed | None
    done: Done | None
    before: Done | None
    sent_back: Mapping[int, int]
    paused: Paused | None = None
    may_pause: bool = True
    continues: bool = False
    given_up: bool = False
    renewed: Mapping[int, Sequence[str]] = field(default_factory=dict)
    quoting: Quoting | None = None
    named: Mapping[int, int] = field(default_factory=dict)
    budget_entries: int = 0

    @property
    def postponed(self) -> bool:
        """Whether the round was closed at the batch's soft deadline. Jobs that ran at that moment may finish."""
        return self.closed is not None and self.closed.reason == "postponed"

    @property
    def awaits_answer(self) -> bool:
        """Whether the batch is quoted, and no further row starts until somebody agrees to the quote."""
        return self.quoting is not None and self.quoting.is_quoted and self.closed is None and self.done is None

    @property
    def is_held(self) -> bool:
        """Whether no further row starts until an operator says so: the round is paused, or waits for the answer to its quote."""
        return self.paused is not None or self.awaits_answer

    @property
    def has_next_round(self) -> bool:
        """Whether the round was published at the soft deadline and left rows for a next round, which is not open yet."""
        return self.postponed and self.done is not None and self.done.counts.get("expired", 0) > 0

    @property
    def is_over_budget(self) -> bool:
        """Whether the round was published because a budget was used up, and left rows for a next round, which is not open yet."""
        left = self.done is not None and self.done.counts.get("expired", 0) > 0
        return left and self.closed is not None and self.closed.reason == "over_budget"

    @property
    def waits_for_period(self) -> bool:
        """Whether the next round opens by itself, once the next period of a tenant's budget begins."""
        return self.is_over_budget and not self.given_up and self.closed is not None and self.closed.until is not None

    @property
    def stopped_by(self) -> str | None:
        """Which budget stopped the batch, as a clause; None if the batch is not over a budget, or was cancelled then."""
        if not self.is_over_budget or self.given_up or self.closed is None:
            return None
        return self.closed.stopped_by or "its budget is used up"

    def stop_in_words(self, batch_id: str) -> str:
        """Say which budget stopped the batch, and how it goes on. Meant for a round that is over budget."""
        closed = self.closed
        what = self.stopped_by or "its budget is used up"
        if closed is not None and closed.until is not None:
            return f"{batch_id} is paused: {what}; it goes on by itself at {closed.until.isoformat()}"
        return f"{batch_id} is paused: {what}; to go on: nightpress resume {batch_id} --budget +AMOUNT"

    @property
    def may_finish(self) -> bool:
        """Whether running jobs may finish although no further row starts: after a soft deadline, or while the round is paused."""
        return self.done is None and (self.postponed if self.closed else self.paused is not None)

    @property
    def may_be_forgotten(self) -> bool:
        """Whether the queue may forget this round: the round is published, or it is paused and not closed.

        If running jobs may still finish, the queue forgets the round only after they have ended.
        """
        return self.done is not None or (self.closed is None and self.paused is not None)

    @property
    def published(self) -> Done | None:
        """The marker `done` of the batch's last round; None while the batch is open."""
        return None if self.has_next_round else self.done

    @property
    def latest(self) -> Done | None:
        """The marker `done` of the highest published round; None if no round is published (rule 21 of jobs/PROTOCOL.md).

        This is the marker of this round if it is published, else of the round before.
        """
        return self.done or self.before

    def counts(self, line: HeadRow) -> bool:
        """Whether a line gives its row an outcome in this round (rule 8 of jobs/PROTOCOL.md).

        A completed line counts in any round, unless its row was sent back by name or renewed for a later round. Any other line
        counts only if it is final, and is of this round or of a row that intake refused (`EVERY_ROUND`).
        """
        if line.status == "c":
            return line.round >= self.sent_back.get(line.row, 0)
        return line.final and line.round in (self.number, EVERY_ROUND)

    def carries(self, row: int) -> bool:
        """Whether a row that completed in the round before is not run in this round, and keeps its outcome."""
        return self.sent_back.get(row) != self.number

    def may_keep(self, row: int) -> bool:
        """Whether a row that completed in the round before keeps its outcome if this round brings no completed one."""
        return row in self.renewed or self.carries(row)
