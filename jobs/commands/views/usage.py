"""Shows usage to a person: a table for each currency, with a line for each key and one for the total."""

from collections.abc import Iterator, Mapping, Sequence

from jobs.accounts.row_lengths import row_lengths
from jobs.accounts.summary import Tally
from jobs.commands.views.table import Table
from jobs.prices import formatted


def tables(by: str, sums: Mapping[str, Mapping[str, Tally]]) -> Iterator[Table]:
    """Yield a table for each currency. The first column holds the keys by which usage is added up, and has the name `by`.

    If rows are for review, a column counts them. If the translation memory was asked, a column says how many segments it knew.
    """
    for currency, tallied in sums.items():
        total = sum(tallied.values(), Tally())
        has_review, has_memory = total.review > 0, any(total.memory.counts)
        counts = ("rows", *(["review"] * has_review), "prompt", "cached", "completion")
        memory = ["from memory"] * has_memory
        titles = (by, *counts, "device s", f"cost {currency}", f"charge {currency}", *memory)
        rows = [(key, *_cells(tally, currency, has_review, has_memory)) for key, tally in tallied.items()]
        yield Table(titles, rows, ("total", *_cells(total, currency, has_review, has_memory)))


def length_tables(by: str, sums: Mapping[str, Mapping[str, Tally]]) -> Iterator[Table]:
    """Yield a table for each currency: how long rows were, as the value that half of them and 95 of 100 do not pass."""
    for tallied in sums.values():
        titles = (by, "rows", "in 50%", "in 95%", "out 50%", "out 95%", "s 50%", "s 95%")
        yield Table(titles, [(key, *_length_cells(tally)) for key, tally in tallied.items()])


def _length_cells(tally: Tally) -> Sequence[str]:
    found = row_lengths(tally)
    if not found.rows:
        return ("0", *[""] * 6)
    tokens = (found.prompt_tokens, found.completion_tokens)
    cells = [f"{value:,}" for one in tokens for value in (one.half, one.most)]
    return [f"{found.rows:,}", *cells, *(f"{ns / 1e9:,.2f}" for ns in (found.device_ns.half, found.device_ns.most))]


def _cells(tally: Tally, currency: str, has_review: bool, has_memory: bool) -> Sequence[str]:
    usage = tally.usage
    counts = (
        tally.rows,
        *([tally.review] * has_review),
        usage.prompt_tokens,
        usage.cached_prompt_tokens,
        usage.completion_tokens,
    )
    amounts = (formatted(amount, currency).removesuffix(f" {currency}") for amount in (usage.device_cost, usage.charge))
    known = [f"{tally.memory.known:,} of {tally.memory.segments:,}"] * has_memory
    return [*(f"{count:,}" for count in counts), f"{usage.device_ns / 1e9:,.1f}", *amounts, *known]
