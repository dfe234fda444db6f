"""Shows a status to a person, in plain lines that are no wider than the terminal."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap

from jobs.operations.status import BatchStatus, Status
from jobs.prices import formatted

BAR = 30
"""Characters of a batch's bar. The filled part shows how many of its rows have an outcome."""
WORKER_BAR = 10
"""Characters of a worker's bar. The filled part shows how many of its slots are in use."""


def lines(now: Status, clock: datetime, width: int = 80) -> Sequence[str]:
    """Return a paragraph for each batch, then the paused lanes, then the workers."""
    found = [line for one in now.batches for line in (*batch_lines(one, clock), "")]
    for lane, reason in now.paused.items():
        found.append(f"{lane} is paused{f': {reason}' if reason else ''}; to go on: nightpress resume {lane}")
    found.extend(_worker_lines(now))
    while found and not found[-1]:
        found.pop()
    return [part for line in found for part in _fitted(line, width)]


def batch_lines(one: BatchStatus, clock: datetime) -> Iterator[str]:
    """Yield the lines of one batch: its state, a bar, its counts, and what it used."""
    share = one.finished / one.rows if one.rows else 1.0
    filled = int(share * BAR)
    yield f"{one.id}  {one.state}" + (f", round {one.round}" if one.round > 1 else "")
    if one.paused_reason is not None:
        yield f"  paused: {one.paused_reason}; to go on: nightpress resume {one.id}"
    yield f"  [{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%}  {one.finished:,} of {one.rows:,} rows"
    yield "  " + "  ".join(f"{name} {count:,}" for name, count in _counts(one))
    pace = list(_rates(one))
    if one.expected_end is not None:
        left = duration_in_words((one.expected_end - clock).total_seconds())
        pace.append(f"expected end {_moment(one.expected_end)} (in {left})")
    if pace:
        yield "  " + "  ".join(pace)
    yield f"  tokens: {one.usage.prompt_tokens:,} prompt, {one.usage.completion_tokens:,} completion"
    devices, charge = formatted(one.usage.device_cost, one.currency), formatted(one.usage.charge, one.currency)
    yield f"  cost: {devices} of devices, {charge} charged" + ("" if one.state == "published" else ", so far")
    if one.published_at is not None:
        took = duration_in_words((one.published_at - one.created_at).total_seconds())
        yield f"  published {_moment(one.published_at)}, {took} after it was made"
        if one.late is not None and one.late.device_ns > 0:
            cost = formatted(one.late.device_cost, one.currency)
            yield f"  late: {one.late.completion_tokens:,} completion tokens, {cost} of devices, ended after that"
        if one.delivered is False:
            yield "  its outputs are not at its output URL yet: a fleet takes them there, or nightpress publish"
        yield f"  see: nightpress results {one.id}"


def progress_line(one: BatchStatus, clock: datetime) -> str:
    """Return one batch in one line, for a log."""
    parts = [f"{one.finished:,} of {one.rows:,} rows", f"{one.failed:,} failed", *_rates(one)]
    if one.expected_end is not None:
        parts.append(f"{duration_in_words((one.expected_end - clock).total_seconds())} left")
    return f"{one.id} {one.state}: {', '.join(parts)}"


def duration_in_words(seconds: float) -> str:
    """Return a duration in words: `3 h 5 min`, `2 min 10 s`, `8 s`."""
    whole = max(0, round(seconds))
    for unit_s, unit, smaller_s, smaller in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit_s:
            return f"{whole // unit_s} {unit} {whole % unit_s // smaller_s} {smaller}"
    return f"{whole} s"


def _counts(one: BatchStatus) -> Iterator[tuple[str, int]]:
    yield "completed", one.completed
    for name in ("failed", "cancelled", "expired", "leased", "ready", "delayed", "waiting"):
        if (count := getattr(one, name)) or name == "failed":
            yield name, count


def _rates(one: BatchStatus) -> Sequence[str]:
    if one.rows_per_s is None or one.tokens_per_s is None:
        return []
    return [f"{one.rows_per_s:,.1f} rows/s", f"{one.tokens_per_s:,.0f} tokens/s"]


def _moment(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _worker_lines(now: Status) -> Iterator[str]:
    if now.workers:
        yield f"{len(now.workers):,} worker{'s' if len(now.workers) > 1 else ''}"
    for worker in now.workers:
        busy = f"{worker.running:,} in hand"
        if worker.slots:
            filled = min(worker.running * WORKER_BAR // worker.slots, WORKER_BAR)
            busy = f"[{'#' * filled}{'.' * (WORKER_BAR - filled)}] {busy}, {worker.slots:,} slots"
        yield f"  {worker.worker}  {busy}  lane {worker.lane}  pid {worker.pid} on {worker.node}"


def _fitted(line: str, width: int) -> Sequence[str]:
    """Break the line between words into parts no wider than `width`. A word wider than that, such as an id, is broken too."""
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(
        line.strip(), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    ) or [""]
