"""Shows an estimate to a person: its counts, a table of kinds and lanes, and what the words in the table's last column mean."""

from collections.abc import Iterator

from jobs.commands.views.remarks import remark_lines
from jobs.commands.views.table import Table
from jobs.operations.estimate import Estimate
from jobs.prices import NS_PER_HOUR, formatted

BASES = {
    "history": "history: the mean of published rows of this kind, model and template",
    "other templates": "other templates: the mean of published rows of this kind and model that began with another template",
    "memory": "memory: the translation memory has all segments of these rows",
    "assumed": "assumed: completions as long as the kind expects, prompts at 4 bytes a token",
}
"""The text that explains each basis of an estimate."""


def heading(found: Estimate) -> Iterator[str]:
    """Yield the number of rows, the numbers that would be refused by code, the first refused rows, and remarks on other rows."""
    yield f"{found.rows:,} row{'s' * (found.rows != 1)}, {found.refused:,} of them to be refused; nothing is enqueued"
    for code, count in found.faults.items():
        yield f"  {count:,} {code}"
    for fault in found.refusals:
        yield f"    {fault}"
    if found.refused > len(found.refusals):
        yield f"    and {found.refused - len(found.refusals):,} more"
    yield from (f"  {line}" for line in remark_lines(found.remarks))
    if known := sum(line.known_rows for line in found.lines):
        yield f"  {known:,} row{'s' * (known != 1)} that the translation memory answers, without a model"


def table(found: Estimate, currency: str) -> Table:
    """Return a table with a line for each kind and lane. Device hours are `?` if the line rests on no published rows."""
    rows = []
    for line in found.lines:
        usage = line.usage
        hours = f"{usage.device_ns / 3.6e12:,.2f}" if line.basis != "assumed" else "?"
        charge = formatted(usage.charge, currency).removesuffix(f" {currency}")
        counts = (f"{line.rows:,}", f"{usage.prompt_tokens:,}", f"{usage.completion_tokens:,}")
        rows.append((f"{line.kind} by {line.lane}", *counts, hours, charge, line.basis))
    titles = ("kind and lane", "rows", "in", "out", "device h", f"charge {currency}", "by")
    return Table(titles, rows, texts=frozenset({0, 6}))


def legend(found: Estimate, currency: str) -> Iterator[str]:
    """Yield the text that explains each basis in the table, the interval, and how many of the assumed tokens are thoughts."""
    yield from (BASES[basis] for basis in sorted({line.basis for line in found.lines}))
    if found.interval is not None:
        low, high = found.interval
        charges = (
            f"{formatted(low.charge, currency).removesuffix(f' {currency}')} to {formatted(high.charge, currency)}"
        )
        yield (
            f"95 of 100 such files take {low.completion_tokens:,} to {high.completion_tokens:,} tokens out, "
            f"{low.device_ns / NS_PER_HOUR:,.2f} to {high.device_ns / NS_PER_HOUR:,.2f} device h, {charges} charged"
        )
    if thoughts := sum(line.thought_tokens for line in found.lines):
        yield f"{thoughts:,} of the assumed tokens are thoughts, as in the model's latest rows"
