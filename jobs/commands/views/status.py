"""Shows a status to a person in plain lines: a line for each batch, things that an operator must do, and the workers.

On a screen that is drawn again and again, the lines also fit its height: open batches come first, the workers are never hidden,
and batches that are published come last.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from jobs.commands.views.audit import audit_note
from jobs.commands.views.batch import (
    batch_lines,
    codes_in_words,
    moment,
    paused,
    rows_in_words,
    time_left,
    undelivered,
)
from jobs.commands.views.fitting import fitted, kept_together, width_of
from jobs.commands.views.table import Table
from jobs.lanes.protocol import WorkerRecord
from jobs.operations.status import BatchStatus, Status

WORKER_BAR = 10
"""Characters of a worker's bar. The filled part shows how many of its slots are in use."""
SILENT_S = 10
"""A worker that has sent no beat for this many seconds is shown as silent. A living worker sends a beat every 5 s."""
SHOWN_CODES = 8
"""At most this many codes of failures are shown below a list of batches, each with its number of rows."""

_TITLES = ("batch", "state", "rows", "done", "failed", "rows/s", "end")
_TEXTS = frozenset({0, 1, 6})


def lines(now: Status, clock: datetime, width: int = 80) -> Sequence[str]:
    """Return a table with a line for each batch, then what needs an operator, the failures by code, and the workers."""
    found = [*_table(now.batches, clock).lines(width)] if now.batches else []
    notes = [*_notes(now), *_failures(now.batches)]
    return _joined([found, notes, list(_worker_lines(now.workers))], width)


def detail(now: Status, clock: datetime, width: int = 80) -> Sequence[str]:
    """Return a paragraph for each batch, then the paused lanes, and the workers."""
    batches = [list(batch_lines(one, clock)) for one in now.batches]
    return _joined([*batches, list(_paused_lanes(now)), list(_worker_lines(now.workers))], width)


def screen(now: Status, clock: datetime, width: int, height: int, *, is_detail: bool = False) -> Sequence[str]:
    """Return as many lines as fit a screen: those of `detail`, or the batches in the order open, published.

    If there is no room for all workers, a line for each lane adds them up. If even that does not fit, a last line counts the
    rest.
    """
    notes = list(_paused_lanes(now)) if is_detail else list(_notes(now))
    workers = list(_worker_lines(now.workers))
    if len(workers) > max(height // 3, 2):
        workers = list(_lane_lines(now.workers))
    cut = [
        _cut(_joined([notes], width), max(height // 4, 1), "more lines"),
        _cut(_joined([workers], width), max(height // 3, 2), "more lines"),
    ]
    below = _joined(cut, width)
    room = max(height - len(below) - bool(below), 1)
    if is_detail:
        above = _joined([list(batch_lines(one, clock)) for one in now.batches], width)
        above = _cut(above, room, "more lines")
    else:
        above = _rows_within(sorted(now.batches, key=lambda one: one.state == "published"), clock, width, room)
    return [*above, *([""] if above and below else []), *below][:height]


def _rows_within(batches: Sequence[BatchStatus], clock: datetime, width: int, room: int) -> list[str]:
    """Return the table of the first batches that fit into `room` lines, and how many do not."""
    for shown in range(min(len(batches), room), 0, -1):
        left = len(batches) - shown
        found = [*_table(batches[:shown], clock).lines(width), *([f"and {left:,} more"] if left else [])]
        if sum(max(1, -(-width_of(line) // width)) for line in found) <= room:
            return found
    return [f"{len(batches):,} batches"] if batches else []


def _table(batches: Sequence[BatchStatus], clock: datetime) -> Table:
    return Table(_TITLES, [_cells(one, clock) for one in batches], texts=_TEXTS)


def _cells(one: BatchStatus, clock: datetime) -> Sequence[str]:
    end = f"in {left}" if (left := time_left(one, clock)) else ""
    if one.published_at is not None:
        end = moment(one.published_at)[:16]
    state = f"{one.state} ({one.round})" if one.round > 1 else one.state
    done = f"{one.worked / one.work:.0%}" if one.work else "100%"
    rate = "" if one.rows_per_s is None else f"{one.rows_per_s:,.1f}"
    return one.id, state, f"{one.work:,}", done, f"{one.failed:,}", rate, end


def _notes(now: Status) -> Iterator[str]:
    """Yield a line for each thing that needs an operator: paused batches and lanes, outputs that are not delivered or alike."""
    for one in now.batches:
        if one.paused_reason is not None:
            yield f"{one.id} is {paused(one)}"
        if one.state == "quoted":
            yield f"{one.id} waits for the answer to its quote: {kept_together(f'nightpress quote {one.id}')}"
        if one.delivered is False:
            yield f"{one.id}: {undelivered(one)}"
        if one.audit is not None and (note := audit_note(one.audit, one.id)) is not None:
            yield note
    yield from _paused_lanes(now)


def _paused_lanes(now: Status) -> Iterator[str]:
    for lane, reason in now.paused.items():
        yield f"{lane} is paused{f': {reason}' if reason else ''}; to go on: {kept_together(f'nightpress resume {lane}')}"


def _failures(batches: Sequence[BatchStatus]) -> Iterator[str]:
    codes = Counter[str]()
    for one in batches:
        codes.update(one.codes)
    if codes:
        first, more = dict(codes.most_common(SHOWN_CODES)), len(codes) - SHOWN_CODES
        rest = f" and {more:,} more codes" if more > 0 else ""
        yield f"failed: {codes_in_words(first)}{rest}; {kept_together('see: nightpress failed list BATCH')}"
    if review := sum(one.verdicts.get("review", 0) for one in batches):
        see = kept_together("see: nightpress results BATCH --only review")
        yield f"{rows_in_words(review)} to review; {see}"


def _worker_lines(workers: Sequence[WorkerRecord]) -> Iterator[str]:
    if workers:
        yield f"{len(workers):,} worker{'s' * (len(workers) > 1)}"
    for worker in workers:
        yield f"  {worker.worker}  {_busy(worker)}  lane {worker.lane}  pid {worker.pid} on {worker.node}"


def _busy(worker: WorkerRecord) -> str:
    """Return what a worker does in words, with a bar for its slots."""
    if worker.silent_s >= SILENT_S:
        return f"not heard of for {worker.silent_s:,} s"
    if worker.loading_s is not None:
        return f"loading its model for {worker.loading_s:,} s"
    if not worker.slots:
        return f"{worker.running:,} in hand"
    filled = min(worker.running * WORKER_BAR // worker.slots, WORKER_BAR)
    return f"[{'#' * filled}{'.' * (WORKER_BAR - filled)}] {worker.running:,} in hand, {worker.slots:,} slots"


def _lane_lines(workers: Sequence[WorkerRecord]) -> Iterator[str]:
    yield f"{len(workers):,} worker{'s' * (len(workers) > 1)}"
    for lane, of_lane in groupby(sorted(workers, key=attrgetter("lane")), attrgetter("lane")):
        ours = list(of_lane)
        heard = [one for one in ours if one.silent_s < SILENT_S]
        in_hand, slots = sum(one.running for one in heard), sum(one.slots for one in heard)
        silent = f", {len(ours) - len(heard):,} silent" if len(heard) < len(ours) else ""
        yield f"  lane {lane}: {len(ours):,} workers{silent}, {in_hand:,} in hand, {slots:,} slots"


def _cut(found: Sequence[str], most: int, what: str) -> list[str]:
    """Return at most `most` lines. If lines are left out, the last line says how many."""
    if len(found) <= most:
        return list(found)
    return [*found[: most - 1], f"and {len(found) - most + 1:,} {what}"]


def _joined(paragraphs: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return all paragraphs with an empty line between two, each line fitted to the width."""
    found: list[str] = []
    for paragraph in paragraphs:
        if paragraph:
            found += [*([""] if found else []), *(part for line in paragraph for part in fitted(line, width))]
    return found
