"""This module reads and creates the markers of a batch, which make its rounds, and says which lines of segments count.

Round 1 begins with `batch.json`, each further round with `reopen-<n>.json`, and round n ends with `done-<n>.json`. Once
`closed-<n>.json` exists, no further row of round n starts. Once `paused-<n>.json` exists, none starts until `resumed-<n>.json`
exists. If round n was closed at a soft deadline, the next round continues it. If it was closed because a budget was used up, the
next round opens once there is more. If the batch is cancelled before that next round begins, `given-up-<n>.json` closes the next
round as soon as it begins. A marker is created once, and the process that creates it has decided (rules 14, 22, 35, 36 and 48 of
jobs/PROTOCOL.md).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel

from jobs.batches.batch import (
    PUT_OFF,
    Batch,
    BatchPaths,
    Closed,
    CloseReason,
    Done,
    Paused,
    Renewal,
    Reopen,
    Resumed,
)
from jobs.batches.budgets.entry import BudgetEntry
from jobs.batches.quotes.sample import Agreed, Drawn, Quoting
from jobs.batches.records import MARKER, Record, is_id, missing, no_batch, read_record
from jobs.batches.round import Round
from jobs.errors import ConflictError, RequestError, StoreDamaged
from jobs.prices import MOST_MONEY, Money, Prices
from jobs.store.damage import damaged_file
from jobs.store.store import Store

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def load_batch(store: Store, batch_id: str) -> Batch | None:
    """Read the acceptance of a batch. Returns None if there is no such batch. Raises StoreDamaged."""
    return read_record(store, BatchPaths(batch_id).acceptance, Batch) if is_id(batch_id) else None


def list_batches(store: Store) -> list[str]:
    """Return the ids of all batches, and the names of folders that have no acceptance."""
    return store.list("batches")


def is_marker(name: str) -> bool:
    """Whether a file of this name in a batch's folder is a marker."""
    return MARKER.fullmatch(name) is not None


def is_left_over(store: Store, batch_id: str) -> bool:
    """Whether a folder is the rest of an unfinished deletion.

    Such a folder has markers, which are deleted last. Its acceptance is gone, or its deletion was decided.
    """
    if not any(map(is_marker, store.list(BatchPaths(batch_id).root))):
        return False
    batch = load_batch(store, batch_id)
    return batch is None or read_round_or_deletion(store, batch)[1]


def require_batch(store: Store, batch_id: str) -> Batch:
    """Read the acceptance of a batch. Raises NoBatch if there is none, and StoreDamaged."""
    batch = load_batch(store, batch_id)
    if batch is None:
        raise no_batch(batch_id)
    return batch


def read_round(store: Store, batch: Batch) -> Round:
    """Read the markers of a batch. Raises StoreDamaged, and NoBatch if the batch is deleted, or its deletion was decided.

    Callers list segments after this call, so the listing has all outcomes that counted when the markers were read (rule 16 of
    jobs/PROTOCOL.md).
    """
    current, is_deleted = read_round_or_deletion(store, batch)
    if is_deleted:
        raise no_batch(batch.batch_id)
    return current


def read_round_or_deletion(store: Store, batch: Batch) -> tuple[Round, bool]:
    """Read the last round of a batch, and whether the deletion of the batch was decided. Raises StoreDamaged, NoBatch."""
    try:
        return _read_round_or_deletion(store, batch)
    except StoreDamaged:
        if load_batch(store, batch.batch_id) != batch:  # it was deleted, and the same batch was accepted again
            raise no_batch(batch.batch_id) from None
        raise


def _read_round_or_deletion(store: Store, batch: Batch) -> tuple[Round, bool]:
    paths = BatchPaths(batch.batch_id)
    names = store.list(paths.root)
    if paths.acceptance.rpartition("/")[2] not in names:
        raise no_batch(batch.batch_id)
    matches = [match for name in names if (match := MARKER.fullmatch(name))]
    found = {(match[1], int(match[2])) for match in matches}
    number = max((n for kind, n in found if kind == "reopen"), default=1)
    reopened = [read_marker(store, paths.reopen(n), Reopen) for n in range(2, number + 1)]
    deletes = reopened.pop().deletes if reopened and reopened[-1].deletes is not None else None
    number = len(reopened) + 1
    for marker in reopened:
        for name, rows in (("rows", marker.rows or ()), ("renews", _renewed(marker))):
            if any(row >= batch.rows for row in rows):
                raise damaged_file(store, paths.reopen(marker.round), f"{name}: the batch has no such row")
    continues = bool(reopened) and reopened[-1].continues
    current = Round(
        number=number,
        deadline=reopened[-1].deadline if reopened else batch.deadline,
        closed=read_marker(store, paths.closed(number), Closed) if ("closed", number) in found else None,
        done=_read_done(store, batch, number) if ("done", number) in found else None,
        before=_read_done(store, batch, number - 1) if number > 1 else None,
        sent_back={row: marker.round for marker in reopened for row in (*(marker.rows or ()), *_renewed(marker))},
        paused=(
            read_marker(store, paths.paused(number), Paused)
            if ("paused", number) in found and ("resumed", number) not in found
            else None
        ),
        may_pause=("paused", number) not in found,
        continues=continues,
        given_up=("given-up", number - 1 if continues else number) in found,
        renewed=_renewed(reopened[-1]) if reopened else {},
        quoting=_quoting(store, batch, found) if batch.quote is not None and number == 1 else None,
        named={row: marker.round for marker in reopened for row in marker.rows or ()},
        budget_entries=max((n for kind, n in found if kind == "budget"), default=0),
    )
    return current, deletes == batch.created_at


def _quoting(store: Store, batch: Batch, found: Collection[tuple[str, int]]) -> Quoting | None:
    """Return how far the first round of a batch is quoted; None if somebody has agreed, or nobody is to be asked."""
    is_quoted = ("quoted", 1) in found
    if ("agreed", 1) in found or (is_quoted and batch.quote is not None and batch.quote.goes_on):
        return None
    draw = max((n for kind, n in found if kind == "drawn"), default=1)
    rows = read_marker(store, BatchPaths(batch.batch_id).drawn(draw), Drawn).rows if draw > 1 else None
    return Quoting(draw, rows, is_quoted)


def _renewed(marker: Reopen) -> Mapping[int, Sequence[str]]:
    """Return the rows that a round renews, each with what it must not repeat. A row that is also sent back by name is not among
    them.
    """
    sent_back = frozenset(marker.rows or ())
    return {row: one.avoid for one in marker.renews for row in one.rows if row not in sent_back}


def _read_done(store: Store, batch: Batch, round_: int) -> Done:
    path = BatchPaths(batch.batch_id).done(round_)
    done = read_marker(store, path, Done)
    if sum(done.counts.values()) != batch.rows:
        raise damaged_file(store, path, f"counts: they are not those of {batch.rows} rows")
    return done


def is_open(store: Store, batch_id: str) -> bool:
    """Whether a batch is open: its last round is not published, or a next round opens by itself. Raises NoBatch, StoreDamaged."""
    return read_round(store, require_batch(store, batch_id)).published is None


def latest_done(store: Store, batch_id: str) -> Done | None:
    """Return the marker `done` of the highest published round; None if there is none. Raises NoBatch, StoreDamaged."""
    return read_round(store, require_batch(store, batch_id)).latest


def close(
    store: Store,
    batch_id: str,
    reason: CloseReason,
    clock: Clock = now,
    *,
    budget_entry: int | None = None,
    until: datetime | None = None,
    stopped_by: str | None = None,
) -> Closed:
    """Close the current round, so that no further row of it starts. Returns the marker that decides.

    If the round was closed before, that earlier marker stays and is returned (rule 14 of jobs/PROTOCOL.md). If it was closed at
    its soft deadline or because of a budget, a cancel also creates `given-up-<n>.json` and returns that marker (rule 35). The
    last three arguments go into a marker with the reason over_budget (`Closed`).

    Raises NoBatch, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    paths = BatchPaths(batch_id)
    while True:
        number = read_round(store, batch).number
        mine = Closed(
            round=number, reason=reason, at=clock(), budget_entry=budget_entry, until=until, stopped_by=stopped_by
        )
        path = paths.closed(number)
        create_marker(store, batch, path, mine)
        if reason == "cancelled" and read_marker(store, path, Closed).reason in PUT_OFF:
            path = paths.given_up(number)
            create_marker(store, batch, path, mine)
        if read_round(store, batch).number == number:  # else it was reopened meanwhile: close the new round
            return read_marker(store, path, Closed)


def reopen(
    store: Store,
    batch_id: str,
    rows: Sequence[int] | None = None,
    deadline: datetime | None = None,
    clock: Clock = now,
    *,
    renews: Sequence[Renewal] = (),
    after: int | None = None,
) -> Reopen:
    """Open a further round for the rows that did not complete and for `rows`, which are run again even if they completed.

    The rows of `renews` are run again too, and keep their outcomes if they do not complete again (rule 44 of jobs/PROTOCOL.md).
    `after` is the round that the caller has read; None: any round.

    Raises RequestError if the batch is open, if it lacks one of `rows`, or if there is nothing to do. Raises ConflictError if
    another process reopens the batch at the same moment. Raises NoBatch, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    open_next_round(store, batch, clock)  # if a soft deadline left rows, the round for them comes first
    current = read_round(store, batch)
    if current.is_over_budget and not rows and not renews:
        raise RequestError(f"{current.stop_in_words(batch_id)}: nothing can be run again before there is more")
    if current.done is None:
        raise RequestError(
            f"batch {batch_id} is still open in round {current.number}: wait for it, or cancel it first."
        )
    if after is not None and current.number != after:
        raise ConflictError(f"batch {batch_id} was reopened by another process at this moment: look at its status.")
    renewed = [row for one in renews for row in one.rows]
    if wrong := [row for row in (*(rows or ()), *renewed) if not 0 <= row < batch.rows]:
        raise RequestError(f"batch {batch_id} has no row {wrong[0]}: its rows are 0 to {batch.rows - 1}.")
    if not rows and not renewed and current.done.counts.get("completed", 0) == batch.rows:
        raise RequestError(f"every row of batch {batch_id} has completed: name the rows to do again.")
    if not rows and not renewed and current.done.counts.get("completed", 0) + batch.refused == batch.rows:
        raise RequestError(
            f"intake refused {batch.refused:,} row{'s' * (batch.refused != 1)} of {batch_id}, and all others have completed: "
            f"nothing can be run again. nightpress failed export {batch_id} -o FILE gives them as a file to correct"
        )
    paths = BatchPaths(batch_id)
    named = tuple(sorted(set(rows))) if rows else None
    marker = Reopen(round=current.number + 1, rows=named, renews=tuple(renews), deadline=deadline, at=clock())
    if not create_reopen(store, batch, marker):
        raise ConflictError(f"batch {batch_id} was reopened by another process at this moment: look at its status.")
    store.create(paths.open_hint, b"")
    return marker


def open_next_round(store: Store, batch: Batch, clock: Clock = now) -> bool:
    """Open the next round if a soft deadline or a budget left rows for it. Returns whether the batch is open.

    After a budget was used up, the next round opens only once there is more money. The next round also runs the rows that failed.
    """
    current = read_round(store, batch)
    has_money = current.is_over_budget and _has_money(store, batch, current, clock())
    if not (current.has_next_round or has_money):
        return current.done is None
    paths = BatchPaths(batch.batch_id)
    deadline = batch.deadline
    if has_money and deadline is not None and deadline <= clock():
        deadline = None  # it passed while the batch waited for money
    marker = Reopen(round=current.number + 1, deadline=deadline, continues=not has_money, at=clock())
    create_reopen(store, batch, marker)
    store.create(paths.open_hint, b"")
    return True


def _has_money(store: Store, batch: Batch, current: Round, at: datetime) -> bool:
    """Whether a budget that has stopped the round has more now: its next period has begun, or an operator added to it."""
    closed = current.closed
    if closed is None or current.given_up:
        return False
    if closed.until is not None and at >= closed.until:
        return True
    return budget_at(store, batch, current.budget_entries) > budget_at(store, batch, closed.budget_entry or 0)


def granted_prices(store: Store, batch: Batch, current: Round) -> Prices | None:
    """Return the prices that the first grant of a batch names; None if there is none. Raises StoreDamaged, NoBatch."""
    for number in range(1, current.budget_entries + 1):
        entry = read_marker(store, BatchPaths(batch.batch_id).budget(number), BudgetEntry)
        if entry.prices is not None:
            return entry.prices
    return None


def reserved_for(store: Store, batch: Batch, current: Round, row: int) -> tuple[int, str] | None:
    """Return what the latest grant of a row has reserved for it, in billionths, and the currency; None without a grant.

    Raises StoreDamaged, NoBatch.
    """
    amount, currency = None, None
    for number in range(1, current.budget_entries + 1):
        entry = read_marker(store, BatchPaths(batch.batch_id).budget(number), BudgetEntry)
        currency = currency or (entry.prices.currency if entry.prices is not None else None)
        for granted in entry.granted:
            if row in granted.rows:
                amount = granted.amounts[granted.rows.index(row)]
    return None if amount is None or currency is None else (amount, currency)


def budget_at(store: Store, batch: Batch, entry: int) -> int:
    """Return the batch's own budget from this entry of its log on, with all that was added; 0 if it has no budget."""
    accepted = batch.budget.amount if batch.budget is not None else 0
    if not entry:
        return accepted
    return read_marker(store, BatchPaths(batch.batch_id).budget(entry), BudgetEntry).budget or accepted


def add_to_budget(store: Store, batch: Batch, more: Money, clock: Clock = now) -> int:
    """Add an amount to the batch's own budget. Returns the whole budget then.

    If that budget has stopped the batch, and the round is published, the next round opens. Raises RequestError if the batch has
    no budget or one in another currency, or if no row is left that more money could pay for; NoBatch, StoreUnavailable.
    """
    batch_id = batch.batch_id
    if batch.budget is None:
        raise RequestError(f"{batch_id} was enqueued without a budget: there is none to add to")
    if batch.budget.currency != more.currency:
        raise RequestError(f"{batch_id} has a budget in {batch.budget.currency}: add {batch.budget.currency} to it")
    while True:
        current = read_round(store, batch)
        if current.given_up or (current.published is not None and not current.is_over_budget):
            raise RequestError(f"{batch_id} has ended, so no money is needed: look at its status")
        whole = budget_at(store, batch, current.budget_entries) + more.amount
        if whole > MOST_MONEY:
            raise RequestError(f"{batch_id}: its budget would be more than a billion")
        entry = BudgetEntry(number=current.budget_entries + 1, round=current.number, budget=whole, at=clock())
        if create_marker(store, batch, BatchPaths(batch_id).budget(entry.number), entry):
            break
    if read_round(store, batch).is_over_budget:
        open_next_round(store, batch, clock)
    return whole


def finish_round(store: Store, batch: Batch, clock: Clock = now) -> None:
    """Do what follows the publishing of a round. Several processes may do this for the same round.

    If the batch has an output URL, it owes its outputs there from now on. If a soft deadline left rows, the next round is
    opened; otherwise the hint that the batch is open is removed, unless the batch waits for the next period of a budget.
    """
    paths = BatchPaths(batch.batch_id)
    if batch.output_url is not None:
        store.create(paths.undelivered, b"")
    if not open_next_round(store, batch, clock) and not read_round(store, batch).waits_for_period:
        store.discard(paths.open_hint)


def pause(store: Store, batch: Batch, reason: str, clock: Clock = now) -> Paused:
    """Pause the current round. Returns the marker; if the round was paused before, the earlier one. Raises StoreUnavailable."""
    number = read_round(store, batch).number
    path = BatchPaths(batch.batch_id).paused(number)
    create_marker(store, batch, path, Paused(round=number, reason=reason, at=clock()))
    return read_marker(store, path, Paused)


def resume(store: Store, batch: Batch, clock: Clock = now) -> None:
    """Resume a paused round, or let all rows of a batch run that is quoted or waits for the answer to its quote.

    A round that is paused while it is quoted is quoted on. Raises RequestError if the batch is not paused, and StoreUnavailable.
    """
    current, paths = read_round(store, batch), BatchPaths(batch.batch_id)
    if current.is_over_budget:
        raise RequestError(current.stop_in_words(batch.batch_id))
    if current.done is not None or (current.paused is None and (current.quoting is None or current.closed is not None)):
        raise RequestError(f"batch {batch.batch_id} is not paused: look at its status.")
    if current.paused is not None:
        create_marker(store, batch, paths.resumed(current.number), Resumed(round=current.number, at=clock()))
    else:
        create_marker(store, batch, paths.agreed, Agreed(at=clock()))


def create_reopen(store: Store, batch: Batch, marker: Reopen) -> bool:
    """Create the marker of a further round, or of a deletion. Returns whether it was created. Raises NoBatch.

    A deletion that died may have left its marker in the folder of a new batch with the same id. Such a marker is deleted first.
    """
    path = BatchPaths(batch.batch_id).reopen(marker.round)
    if create_marker(store, batch, path, marker):
        return True
    other = read_record(store, path, Reopen)
    if other is None or other.deletes in (None, batch.created_at):
        return False
    store.delete(path)
    return create_marker(store, batch, path, marker)


def create_marker(store: Store, batch: Batch, path: str, marker: BaseModel) -> bool:
    """Create a marker of a batch. Returns whether it was created.

    Raises NoBatch if the batch was deleted meanwhile. In this case the marker is deleted again, because it would hold for the
    next batch of the same id.
    """
    created = store.create(path, to_bytes(marker))
    if load_batch(store, batch.batch_id) != batch:
        if created:
            store.delete(path)
        raise no_batch(batch.batch_id)
    return created


def to_bytes(record: BaseModel) -> bytes:
    """Return a record as it is stored: one line of JSON."""
    return record.model_dump_json().encode() + b"\n"


def read_marker(store: Store, path: str, record: type[Record]) -> Record:
    """Read a marker that must be there.

    Raises StoreDamaged if it is missing, damaged or of a newer release, and NoBatch if its batch was deleted meanwhile.
    """
    marker = read_record(store, path, record)
    if marker is None:
        raise missing(store, path)
    return marker
