"""Shows a quote to a person: what the whole batch takes, how sure that is, and what the sample cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jobs.commands.views.table import Table
from jobs.planning.quotes import LARGE_SHARE
from jobs.prices import BILLION, formatted

if TYPE_CHECKING:
    from jobs.batches.quotes.quoted import Quoted, Range


def heading(quoted: Quoted) -> str:
    """Return how many rows the quote rests on."""
    if quoted.sampled == quoted.rows:
        return f"all {quoted.rows:,} rows were run as the sample, so these are sums and no estimates"
    return f"from {quoted.sampled:,} of {quoted.rows:,} rows, which are done and are not paid twice"


def table(quoted: Quoted) -> Table:
    """Return a table of tokens, charge and device hours: expected, the ends of the interval, and the most by max_tokens."""
    charges = [_money(amount) for amount in _ends(quoted.charge)]
    rows = [
        ("tokens", *(_counted(amount) for amount in _ends(quoted.tokens))),
        (f"charge {quoted.currency}", *charges),
        ("device h", *(_hours(amount) for amount in _ends(quoted.device_ns))),
    ]
    return Table(("the whole batch", "expected", "95 % from", "to", "at most"), rows)


def strata_table(quoted: Quoted) -> Table | None:
    """Return a table with a line for each kind, model and template; None if there is only one."""
    if len(quoted.strata) < 2:
        return None
    rows = [
        (
            f"{one.kind} by {one.model}" + (f", template {one.template}" if one.template else ""),
            f"{one.rows:,}",
            f"{one.sampled:,}",
            f"{one.failed:,}",
            f"{one.tokens:,}",
            _money(one.charge),
        )
        for one in quoted.strata
    ]
    return Table(("kind and model", "rows", "sampled", "failed", "tokens", f"charge {quoted.currency}"), rows)


def notes(quoted: Quoted) -> Iterator[str]:
    """Yield what a person must know beside the numbers."""
    if quoted.failed:
        codes = ", ".join(f"{count:,} {code or 'without a code'}" for code, count in quoted.codes.items())
        yield f"{quoted.failed:,} of the {quoted.sampled:,} sampled rows failed ({codes}): such rows are not charged"
    width = f"{quoted.half_width:.0%}"
    if quoted.sampled < quoted.rows:
        if quoted.reached:
            yield f"the intervals of tokens and charge are within {width} of what is expected"
        else:
            why = "the sample has as many rows as it may have" if quoted.at_most_rows else "no further row would help"
            why = "a budget paid for no further row of the sample" if quoted.ended_by_budget else why
            yield f"the intervals are wider than the {width} that was aimed at: {why}"
        if quoted.largest_share >= LARGE_SHARE:
            yield (
                f"one row has {quoted.largest_share:.0%} of the sample's tokens: if a few rows are huge, a sample may miss "
                "them, and the whole may be above its interval"
            )
        if quoted.tokens.most is not None:
            yield "`at most` holds whatever a sample has missed: it follows from max_tokens"
    if quoted.tokens.most is None:
        yield "no bound is known: a kind asks for more than its first prompts tell"
    yield f"the sample is charged {formatted(quoted.sample_charge, quoted.currency)}"


def answers(batch_id: str, keep: Callable[[str], str] = str) -> str:
    """Return the commands by which a person answers a quote. `keep` marks words that must stay on one line."""
    go_on, give_up = keep(f"nightpress resume {batch_id}"), keep(f"nightpress cancel {batch_id}")
    return f"to run the other rows: {go_on}; to give them up: {give_up}"


def summary(quoted: Quoted) -> str:
    """Return the quote in one line."""
    tokens, charge = quoted.tokens, quoted.charge
    most = "" if charge.most is None else f", at most {formatted(charge.most, quoted.currency)}"
    return (
        f"{tokens.expected:,} tokens ({tokens.low:,} to {tokens.high:,}), {formatted(charge.expected, quoted.currency)} "
        f"({_money(charge.low)} to {_money(charge.high)}){most}"
    )


def _ends(found: Range) -> tuple[int, int, int, int | None]:
    return found.expected, found.low, found.high, found.most


def _counted(amount: int | None) -> str:
    return "?" if amount is None else f"{amount:,}"


def _hours(amount: int | None) -> str:
    return "?" if amount is None else f"{amount / 3.6e12:,.2f}" if amount >= 3.6e11 else f"{amount / 3.6e12:.4f}"


def _money(amount: int | None) -> str:
    if amount is None:
        return "?"
    return f"{amount / BILLION:,.2f}" if amount >= 100 * BILLION else f"{amount / BILLION:,.6f}"
