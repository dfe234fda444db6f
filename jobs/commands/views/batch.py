"""Shows one batch to a person: its state, a bar, its counts, what it used, and what to do next."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from jobs.commands.views.audit import audit_lines
from jobs.commands.views.fitting import kept_together
from jobs.commands.views.quote import answers, summary
from jobs.operations.status import BatchStatus, describe_memory, describe_verdicts
from jobs.prices import formatted

BAR = 30
"""Characters of a batch's bar. The filled part shows how many of the rows that are to be run have an outcome."""


def batch_lines(one: BatchStatus, clock: datetime) -> Iterator[str]:
    """Yield the lines of one batch: its state, a bar, its counts, and what it used."""
    share = one.worked / one.work if one.work else 1.0
    filled = int(share * BAR)
    yield f"{one.id}  {one.state}" + (f", round {one.round}" if one.round > 1 else "")
    if one.paused_reason is not None:
        yield f"  {paused(one)}"
    yield from _quote_lines(one)
    if one.documents:
        yield f"  {documents_in_words(one.documents, one.languages)}"
    refused = f", {one.refused:,} more refused" if one.refused else ""
    yield f"  [{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%}  {one.worked:,} of {rows_in_words(one.work)}{refused}"
    yield "  " + "  ".join(kept_together(f"{name} {count:,}") for name, count in _counts(one))
    if one.codes:
        yield f"  failed: {codes_in_words(one.codes)}; {_see(f'failed list {one.id}')}"
    if verdicts := describe_verdicts(one.verdicts):
        see = f"; {_see(f'results {one.id} --only review')}" if one.verdicts.get("review") else ""
        yield f"  verdicts: {verdicts}{see}"
    pace = [kept_together(rate) for rate in rates(one)]
    if one.expected_end is not None:
        pace.append(f"expected end {moment(one.expected_end)} (in {time_left(one, clock)})")
    if pace:
        yield "  " + "  ".join(pace)
    yield f"  tokens: {one.usage.prompt_tokens:,} prompt, {one.usage.completion_tokens:,} completion"
    if one.memory is not None:
        yield f"  memory: {describe_memory(one.memory)}"
    devices, charge = formatted(one.usage.device_cost, one.currency), formatted(one.usage.charge, one.currency)
    yield f"  cost: {devices} of devices, {charge} charged" + ("" if one.published_at is not None else ", so far")
    if one.budget is not None:
        yield f"  budget: {one.budget.in_words()}"
    yield from _after_publishing(one)


def _quote_lines(one: BatchStatus) -> Iterator[str]:
    """Yield how far the batch is quoted, or its quote."""
    if one.drawn is not None:
        yield f"  {rows_in_words(one.drawn)} drawn into the sample that it is quoted by"
    if one.quote is not None:
        yield f"  quote: {summary(one.quote)}; {_see(f'quote {one.id}')}"
    if one.state == "quoted":
        yield f"  {answers(one.id, kept_together)}"


def documents_in_words(count: int, languages: Sequence[str]) -> str:
    """Return the documents of a batch and their languages, as `3 documents into fr, de`."""
    return f"{count:,} document{'s' * (count != 1)} into {', '.join(languages)}"


def _after_publishing(one: BatchStatus) -> Iterator[str]:
    if one.published_at is None:
        return
    took = duration_in_words((one.published_at - one.created_at).total_seconds())
    yield f"  published {moment(one.published_at)}, {took} after it was made"
    if one.audit is not None:
        yield from audit_lines(one.audit, one.id)
    if one.late is not None and one.late.device_ns > 0:
        cost = formatted(one.late.device_cost, one.currency)
        yield f"  late: {one.late.completion_tokens:,} completion tokens, {cost} of devices, ended after that"
    if one.delivered is False:
        yield f"  {undelivered(one)}"
    yield f"  {_see(f'results {one.id}' + (' --format document -o FOLDER' if one.documents else ''))}"


def _see(command: str) -> str:
    return kept_together(f"see: nightpress {command}")


def progress_line(one: BatchStatus, clock: datetime) -> str:
    """Return one batch in one line, for a log."""
    parts = [f"{one.worked:,} of {rows_in_words(one.work)}", f"{one.failed:,} failed", *rates(one)]
    if one.expected_end is not None:
        parts.append(f"{time_left(one, clock)} left")
    return f"{one.id} {one.state}: {', '.join(parts)}"


def paused(one: BatchStatus) -> str:
    """Return why a batch has paused itself, and what to do so that it goes on."""
    text = one.paused_in_words()
    first, found, command = text.partition("nightpress resume")
    return f"{first}{kept_together(found + command)}" if found else text


def undelivered(one: BatchStatus) -> str:
    """Return what to do about outputs that are not at their output URL."""
    return "its outputs are not at its output URL yet: a fleet takes them there, or nightpress publish"


def rates(one: BatchStatus) -> Sequence[str]:
    """Return the rates of a batch in words; none if they are not known."""
    if one.rows_per_s is None or one.tokens_per_s is None:
        return []
    return [f"{one.rows_per_s:,.1f} rows/s", f"{one.tokens_per_s:,.0f} tokens/s"]


def time_left(one: BatchStatus, clock: datetime) -> str:
    """Return the time until the expected end in words; an empty text if none is expected."""
    return "" if one.expected_end is None else duration_in_words((one.expected_end - clock).total_seconds())


def codes_in_words(codes: Mapping[str, int]) -> str:
    """Return how many rows failed with each code: `2 length, 1 not_json`."""
    return ", ".join(kept_together(f"{count:,} {code or 'without a code'}") for code, count in codes.items())


def rows_in_words(count: int) -> str:
    """Return a number of rows: `1 row`, `2,000 rows`."""
    return f"{count:,} row{'s' * (count != 1)}"


def moment(at: datetime) -> str:
    """Return a time by the local clock, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration_in_words(seconds: float) -> str:
    """Return a duration in words: `3 h 5 min`, `2 min 10 s`, `8 s`."""
    whole = max(0, round(seconds))
    for unit_s, unit, smaller_s, smaller in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit_s:
            return f"{whole // unit_s:,} {unit} {whole % unit_s // smaller_s} {smaller}"
    return f"{whole} s"


def _counts(one: BatchStatus) -> Iterator[tuple[str, int]]:
    yield "completed", one.completed
    for name in ("failed", "cancelled", "expired", "leased", "ready", "delayed", "waiting"):
        if (count := getattr(one, name)) or name == "failed":
            yield name, count
