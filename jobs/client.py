"""The public face: one class for programs that make batches, follow them and take their results.

    from jobs import Client

    with Client() as client:
        batch = client.enqueue([{"kind": "article", "topic": "Tea in spring"}], model="smollm2-135m")
        client.wait(batch, timeout_s=3600)
        for row in client.results(batch):
            print(row["output"]["title"])

The class stands between the commands and the operations. The command line calls it too, so a program can do all that a person
can type, by the same code. The class prints nothing, ends no process and keeps no state outside its object.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, Self, Unpack, overload

if TYPE_CHECKING:
    from jobs.accounts.summary import Tally
    from jobs.batches.batch import Done
    from jobs.batches.budgets.tenant_accounts import AccountState
    from jobs.batches.quotes.quoted import Quoted
    from jobs.documents.batches.writing import Report
    from jobs.errors import StoreDamaged
    from jobs.findings import Verdict
    from jobs.kinds.kind import Kind
    from jobs.lanes.redis_queue import RedisQueue
    from jobs.operations.cancellation import Cancellation
    from jobs.operations.content.same_texts import Reopened
    from jobs.operations.corrections import Corrections
    from jobs.operations.enqueue_options import EnqueueOptions
    from jobs.operations.enqueueing import AcceptedBatch, Source
    from jobs.operations.estimate import Estimate
    from jobs.operations.memory.tenant_memory import TenantMemory
    from jobs.operations.outlook.night_plan import NightPlan
    from jobs.operations.results import Results
    from jobs.operations.row_history import RowHistory
    from jobs.operations.row_names import FoundRow
    from jobs.operations.status import BatchStatus, Status
    from jobs.operations.status_reader import StatusReader
    from jobs.prices import Money
    from jobs.publishing.auditing import Auditor
    from jobs.publishing.publish import Incomplete
    from jobs.settings import Settings
    from jobs.store.store import Store
    from jobs.typed_times import When

LAST_PUBLISHED = 5
"""`Client.status()` shows all open batches, and this many of those that were published last."""


class Named(Protocol):
    """Anything that has a batch's id, such as an AcceptedBatch or a BatchStatus."""

    @property
    def id(self) -> str:
        """The batch's id."""
        ...


class Client:
    """Makes, follows and publishes the batches of one store. Safe to share between threads. Every call blocks until it is done.

    All times are UTC, and all amounts are integers in billionths of their currency. A caller names a batch by its id, or by an
    object that has the batch's id as `id`.

    All errors are NightpressErrors (see `jobs.errors`). Any method may raise StoreUnavailable if the storage does not answer, and
    its subclass StoreDamaged if a file there is damaged. Methods that take a batch raise NoBatch if there is none of this id.
    Methods that read a status raise QueueUnavailable if the Redis URL of the settings is not valid, but not if Redis is away.

    Args:
        settings: The settings. Default: those of the environment and of nightpress.toml in the working folder or above it.
            Raises RequestError if one of them is wrong.
        queue: The queue, in place of the one that the settings name. `close` does not close it.
        clock: Returns the time, in UTC.
        sleep: Waits for a number of seconds; `wait` calls it between two looks.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        queue: RedisQueue | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if settings is None:
            from jobs.settings import load

            settings = load()
        if settings.checks or any(tenant.checks for tenant in settings.tenants.values()):
            from jobs.checks.registry import refuse_wrong_settings

            refuse_wrong_settings(settings)
        self.settings = settings
        self.clock = clock
        self._sleep = sleep
        self._given_queue = queue
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._queue: RedisQueue | None = None
        self._kinds: Mapping[str, Kind] | None = None
        self._reader: StatusReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Redis. A client that is used again opens new connections."""
        with self._lock:
            queue, self._queue, self._reader = self._queue, None, None
        if queue is not None:
            queue.close()

    def enqueue(
        self,
        source: Source,
        *,
        run_key: str | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> AcceptedBatch:
        """Make a batch. Redis is not needed. If it answers, workers begin at once; otherwise they find the batch in storage.

        Args:
            source: Rows, each a mapping of its fields, read one at a time; or a file in any format that intake reads: its path,
                its URL, or an open binary file; or documents to translate: the path of a file or folder, or a list of paths.
            run_key: The same rows and options with the same key make the same batch, so a call may be repeated. Default: a new
                key, which makes a new batch.
            options: See EnqueueOptions: kind, model, fields, name, tenant, priority, deadline, publish_at, limit, strict,
                output_url, output_format, format, map, extra, header, header_row, with_done, budget, quote, go_on.

        Raises:
            RequestError: There are no rows, or an option is wrong. It is AllRefused if every row is bad, and StrictRefused if
                `strict` is given and a row is bad; both hold the faults. Nothing was accepted.
            ConflictError: Another batch has the id already.
            StoreUnavailable: The storage or the source does not answer. If the batch may have been accepted all the same, the
                message says so.
        """
        from jobs.operations.enqueue_options import intake_options
        from jobs.operations.enqueueing import enqueue

        made = intake_options(options, clock=self.clock, may_be_past=run_key is not None)
        accepted = enqueue(
            self.store, source, made, run_key=run_key, kinds=self.kinds, settings=self.settings, clock=self.clock
        )
        self._announce(accepted.id)
        return accepted

    def estimate(
        self,
        source: Source,
        **options: Unpack[EnqueueOptions],
    ) -> Estimate:
        """Count the rows, faults, tokens, device time and charge that a batch of this source would have. Nothing is stored.

        This method takes the options of `enqueue`, and raises its errors.
        """
        from jobs.operations.enqueue_options import intake_options
        from jobs.operations.enqueueing import opened
        from jobs.operations.estimate import estimate

        made = intake_options(options, clock=self.clock)
        with opened(source, made, self.settings) as (lines, _):
            return estimate(self.store, lines, made, self.kinds, self.settings)

    def plan(
        self,
        *,
        by: When | None = None,
        devices: int | None = None,
        found: Estimate | None = None,
        faults: list[StoreDamaged] | None = None,
    ) -> NightPlan:
        """Plan the open batches: when they are done, what further workers bring, and how many make the deadlines.

        With `by`, each batch is due then, if it is not due earlier. `devices` limits the devices of all models together. With the
        estimate `found` of a file, its rows are planned too, as if they were enqueued now. If Redis does not answer, the plan
        knows no live workers. `faults` works as in `status`. Nothing is stored or started.
        """
        from jobs.accounts.experience import Experience
        from jobs.errors import RequestError
        from jobs.operations.outlook.night_plan import plan_night
        from jobs.operations.outlook.open_indexes import open_indexes, snapshots_of
        from jobs.typed_times import moment_of

        now = self.clock()
        due = None if by is None else moment_of(by, now)
        if due is not None and due <= now:
            raise RequestError(f"the moment by which all must be done has passed: {by}")
        indexes = open_indexes(self.store, self.batches(published=0, faults=faults), faults)
        known = Experience.read(self.store)
        lanes = {
            *(lane for index in indexes for lane in index.batch.lanes),
            *(line.lane for line in (found.lines if found else ())),
        }
        seen = snapshots_of(self.queue, lanes)
        accounts = self.tenant_budgets()
        return plan_night(
            indexes, seen, known, self.settings, now, by=due, devices=devices, found=found, accounts=accounts
        )

    @overload
    def status(self, batch: str | Named) -> BatchStatus: ...
    @overload
    def status(self, batch: None = None, *, faults: list[StoreDamaged] | None = None) -> Status: ...
    def status(
        self, batch: str | Named | None = None, *, faults: list[StoreDamaged] | None = None
    ) -> BatchStatus | Status:
        """Return the status of one batch. Without `batch`, return the status of all open batches and of the workers.

        That status also has the five batches that were published last. If Redis does not answer, the status comes from storage
        alone. Without `batch`, a damaged batch is left out, and its error is added to `faults`; without `faults`, the error is
        raised.
        """
        if batch is not None:
            return self._statuses.batch(_id(batch))
        return self._statuses.read(self.batches(published=LAST_PUBLISHED, faults=faults), faults)

    def batches(
        self,
        *,
        published: int | None = None,
        tenant: str | None = None,
        since: When | None = None,
        faults: list[StoreDamaged] | None = None,
    ) -> Sequence[str]:
        """Return the ids of the open batches, oldest first, then of the published batches, newest first.

        At most `published` of the published batches are returned; all if it is None. `tenant` and `since` limit them to the
        batches of one tenant, and to those that were made or published since then. `faults` works as in `status`.
        """
        from jobs.operations.listing import Choice, listing
        from jobs.typed_times import moment_of

        began = None if since is None else moment_of(since, self.clock())
        return listing(self.store, Choice(tenant, began, published), faults).ids

    def wait(self, batch: str | Named, timeout_s: float | None = None, *, interval_s: float = 1.0) -> BatchStatus:
        """Wait until a batch is published, and return its published status. The batch is looked at every `interval_s` seconds.

        Once every row has an outcome, this method publishes the batch. Workers or `publish` publish a cancelled batch.

        Raises BatchUnfinished (a TimeoutError) if the batch is not published after `timeout_s` seconds (None: wait for ever); the
        batch itself keeps running. Raises BatchPaused if the batch paused itself, or waits for the answer to its quote: only
        `resume` lets it go on.
        """
        from jobs.operations.waiting import wait

        until = None if timeout_s is None else self.clock() + timedelta(seconds=timeout_s)
        return wait(self._statuses, _id(batch), until=until, interval_s=interval_s, sleep=self._sleep, clock=self.clock)

    def quote(self, batch: str | Named, timeout_s: float | None = 0.0, *, interval_s: float = 1.0) -> Quoted:
        """Return the quote of a batch that was enqueued with `quote`: what the whole takes, from a sample of its rows.

        Workers run the sample. This method waits for the quote at most `timeout_s` seconds; None: for ever. After it, `resume`
        lets the other rows run, and `cancel` gives them up. Raises BatchUnfinished (a TimeoutError) if there is no quote yet,
        BatchPaused if the batch paused itself, and RequestError if the batch is not to be quoted.
        """
        from jobs.operations.waiting import wait_for_quote

        until = None if timeout_s is None else self.clock() + timedelta(seconds=timeout_s)
        return wait_for_quote(
            self._statuses, _id(batch), until=until, interval_s=interval_s, sleep=self._sleep, clock=self.clock
        )

    def results(self, batch: str | Named, *, errors: bool = False, only: Verdict | None = None) -> Results:
        """Return the completed rows of a batch in input order; with `errors`, the rows that did not complete.

        With `only`, these are the rows with this verdict: `fit`, `review`, or `failed` for rows that failed.

        For an unfinished batch, the rows are those that have an outcome so far: see `Results.round` and `Results.is_finished`.
        Each row is read when the iteration reaches it.
        """
        from jobs.operations.results import results

        return results(self.store, _id(batch), errors=errors, only=only)

    def write_documents(
        self, batch: str | Named, folder: str, *, verdicts: Collection[Verdict] | None = None
    ) -> Report:
        """Write the translated documents of a batch into a folder or URL, each as a whole.

        For an unfinished batch, the texts are those of the rows that have an outcome so far. With `verdicts`, only texts of rows
        with these verdicts are written. A segment without a text stays as it is in the source, and the report names it. Raises
        RequestError if the batch has no documents, and OSError if a file cannot be written on this machine.
        """
        from jobs.operations.content.translated import write_translations

        return write_translations(self.store, _id(batch), folder, self.settings.options_for, verdicts)

    def row(self, batch: str | Named, row: int | str) -> RowHistory:
        """Return the request, first prompts, attempts and outcome of one row, by its number or its custom_id. Rows count from 0.

        A text that is a whole number is a row's number too; `id:7` is the custom_id 7. Raises RequestError if the batch has no
        such row.
        """
        from jobs.operations.row_history import row_history

        number = row if isinstance(row, int) else self.find_row(batch, row).row
        return row_history(self.store, _id(batch), number, self.kinds, self.settings.templates_dir)

    def find_row(self, batch: str | Named, row: int | str) -> FoundRow:
        """Return the number of a row that is named as in `row`, and a remark if another row may have been meant."""
        from jobs.batches.rounds import require_batch
        from jobs.operations.row_names import find_row

        return find_row(self.store, require_batch(self.store, _id(batch)), row)

    def corrections(self, batch: str | Named) -> Corrections:
        """Return the rows that intake refused, which can be written as a file to correct in the format of the input.

        Raises RequestError if no row was refused.
        """
        from jobs.operations.corrections import corrections

        return corrections(self.store, _id(batch))

    def cancel(self, batch: str | Named) -> Cancellation:
        """Cancel a batch: no further row of it is started. Rows with an outcome keep it; all others are published as cancelled.

        The cancellation holds even if Redis is away. Workers publish the batch; `publish` does so at once. Raises RequestError if
        the batch is published already.
        """
        from jobs.operations.cancellation import cancel

        return cancel(self.store, lambda: self.queue, _id(batch), self.clock)

    def retry(
        self, batch: str | Named, *, rows: Sequence[int | str] | None = None, deadline: When | None = None
    ) -> int:
        """Open a further round of a published batch, and return the round's number. See also `renew_same`.

        The round runs the rows that did not complete, and also `rows`, named as in `row`, even if they completed. All other
        completed rows are kept, and not charged again. `deadline` works as in `enqueue`. Raises RequestError if the batch is
        open, if it has no such row, if intake refused one of `rows`, or if there is no row to run.
        """
        from jobs.batches.rounds import reopen, require_batch
        from jobs.operations.corrections import check_not_refused
        from jobs.operations.enqueue_options import moment_to_come

        until = moment_to_come("the deadline", deadline, self.clock())
        named = tuple(row if isinstance(row, int) else self.find_row(batch, row).row for row in rows or ())
        check_not_refused(self.store, require_batch(self.store, _id(batch)), named)
        opened = reopen(self.store, _id(batch), named or None, until, self.clock)
        self._announce(_id(batch))
        return opened.round

    def renew_same(self, batch: str | Named, *, deadline: When | None = None) -> Reopened:
        """Open a further round of a published batch for texts that repeat others: all but one row of each named cluster.

        Each of these rows is told how the texts that it repeats begin. If it does not complete again, its published text stays.
        The rows that did not complete are run too. A round without an audit is audited first, which takes a minute for some
        100,000 rows. `deadline` works as in `enqueue`. Raises RequestError if the batch is open or no texts repeat others.
        """
        from jobs.operations.content.same_texts import reopen_same
        from jobs.operations.enqueue_options import moment_to_come

        until = moment_to_come("the deadline", deadline, self.clock())
        opened = reopen_same(self._auditor, _id(batch), until, self.clock)
        self._announce(_id(batch))
        return opened

    def resume(self, batch: str | Named, *, budget: Money | str | None = None) -> Money | None:
        """Resume a batch that paused itself, let all rows of a quoted batch run, or with `budget` add so much, such as `+10EUR`.

        Returns the whole budget then; None without `budget`. A batch that its budget has stopped goes on in a further round, and
        one that still runs goes on beyond its old budget. Raises RequestError if the batch is not paused, or if it has no budget,
        has one in another currency, or has ended.
        """
        from jobs.batches.rounds import add_to_budget, require_batch, resume
        from jobs.prices import Money, money_of

        found = require_batch(self.store, _id(batch))
        if budget is None:
            resume(self.store, found, self.clock)
            self._announce(found.batch_id)
            return None
        more = budget if isinstance(budget, Money) else money_of(budget.strip().removeprefix("+"), "--budget")
        whole = add_to_budget(self.store, found, more, self.clock)
        self._announce(found.batch_id)
        return Money(amount=whole, currency=more.currency)

    def tenant_budgets(self) -> Sequence[AccountState]:
        """Return how much of the budgets of tenants is charged or reserved, in the present day and month of each."""
        from jobs.batches.budgets.tenant_accounts import TenantAccounts

        return TenantAccounts(self.store, self.settings, self.clock).states()

    def publish(self, batch: str | Named) -> Done | Incomplete:
        """Publish a batch, copy its outputs to its output URL, remember its translations, and audit its texts. Workers do all
        this by themselves.

        Returns Done with the counts of the published round by status, or Incomplete with the rows that have no outcome yet. If
        the outputs cannot be written at the URL, a warning is logged and a fleet tries again.
        """
        from jobs.batches.batch import Done
        from jobs.publishing.delivery import Deliverer
        from jobs.publishing.publish import publish
        from jobs.publishing.remembering import Rememberer

        result = publish(self.store, _id(batch), prices=self.settings.prices, clock=self.clock)
        if isinstance(result, Done):
            Deliverer(self.store, self.settings.options_for, self.kinds, self.clock).deliver_batch(_id(batch))
            Rememberer(self.store, self.kinds, self.settings).remember_batch(_id(batch), result.round)
            self._auditor.audit_batch(_id(batch), result.round)
        return result

    def delete(self, batch: str | Named) -> bool:
        """Delete a published batch. Its usage stays in the accounts. Raises RequestError if the batch is open.

        Returns False if another process has deleted the batch at the same moment.
        """
        from jobs.publishing.retention import delete_batch

        return delete_batch(self.store, _id(batch), clock=self.clock)

    def usage(
        self,
        by: Literal["tenant", "model", "batch", "kind", "day"] = "batch",
        *,
        since: When | None = None,
        until: When | None = None,
        faults: list[StoreDamaged] | None = None,
        tenant: str | None = None,
    ) -> Mapping[str, Mapping[str, Tally]]:
        """Add up the usage of rounds that were published from `since` on and before `until`: by currency, then by the key `by`.

        With `tenant`, only its rows count. `faults` works as in `status`.
        """
        from jobs.accounts.tallies import tallies
        from jobs.typed_times import moment_of

        now = self.clock()
        since, until = (None if when is None else moment_of(when, now) for when in (since, until))
        return tallies(self.store, by, since=since, until=until, faults=faults, tenant=tenant)

    @property
    def store(self) -> Store:
        """The storage itself, for anything that this class does not offer."""
        with self._lock:
            if self._store is None:
                from jobs.store.opening import open_store

                self._store = open_store(
                    self.settings.store_url, self.settings.store_options, self.settings.file_mode_bits
                )
            return self._store

    @property
    def queue(self) -> RedisQueue | None:
        """The queue, which may not answer; None if the settings name none. Raises QueueUnavailable if the URL is not valid."""
        with self._lock:
            if self._given_queue is not None:
                return self._given_queue
            if self._queue is None and self.settings.redis_url is not None:
                from jobs.lanes.redis_queue import RedisQueue

                self._queue = RedisQueue.from_settings(self.settings, self.store)
            return self._queue

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds that rows may name. Raises RequestError if one of them, or a template, cannot be loaded."""
        with self._lock:
            if self._kinds is None:
                from jobs.kinds.registry import load_kinds

                self._kinds = load_kinds(self.settings.templates_dir)
            return self._kinds

    def _announce(self, batch_id: str) -> None:
        """Tell workers of a batch that has rows for them, if Redis answers."""
        from jobs.lanes.announcing import announce

        announce(self.store, lambda: self.queue, batch_id)

    def status_reader(self, *, counts_late: bool = False) -> StatusReader:
        """Return a new reader for many looks at the same batches. The reader reads only what is new since its last look.

        With `counts_late` the reader also fills `BatchStatus.late`.
        """
        from jobs.operations.outlook.first_end import Forecaster
        from jobs.operations.status_reader import StatusReader

        lanes = [self.settings.lane_of(alias) for alias in self.settings.catalog]
        forecaster = Forecaster(self.store, self.settings)
        return StatusReader(self.store, self.queue, self.settings.prices, self.clock, lanes, counts_late, forecaster)

    def memory(self, tenant: str | None = None) -> TenantMemory:
        """Return the translation memory of a tenant, by default of the setting `tenant`. Raises RequestError for a wrong name."""
        import re

        from jobs.errors import RequestError
        from jobs.intake.row_fields import TENANT
        from jobs.operations.memory.tenant_memory import TenantMemory

        name = tenant or self.settings.tenant
        if not re.fullmatch(TENANT, name):
            raise RequestError(f"--tenant {name!r}: give it 1 to 64 letters, digits, dots, hyphens or underscores")
        return TenantMemory(self.store, name, self.settings.cache_dir, self.clock)

    @property
    def _auditor(self) -> Auditor:
        from jobs.publishing.auditing import Auditor

        return Auditor.from_settings(self.store, self.kinds, self.settings)

    @property
    def _statuses(self) -> StatusReader:
        with self._lock:
            if self._reader is None:
                self._reader = self.status_reader()
            return self._reader


def _id(batch: str | Named) -> str:
    return batch if isinstance(batch, str) else batch.id
