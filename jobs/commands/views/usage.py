"""Shows usage to a person: a table for each currency, with a line for each key and one for the total."""

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from jobs.accounts.summary import Tally
from jobs.prices import formatted


def tables(by: str, sums: Mapping[str, Mapping[str, Tally]]) -> Iterator[Table]:
    """Yield a table for each currency. The first column holds the keys by which usage is added up, and has the name `by`."""
    for currency, tallied in sums.items():
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column(by, overflow="fold", min_width=10)
        for name in ("rows", "prompt", "cached", "completion", "device s", f"cost {currency}", f"charge {currency}"):
            table.add_column(name, justify="right", overflow="fold")
        for key, tally in tallied.items():
            table.add_row(key, *_cells(tally, currency))
        table.add_section()
        table.add_row("total", *_cells(sum(tallied.values(), Tally()), currency))
        yield table


def _cells(tally: Tally, currency: str) -> Sequence[str]:
    usage = tally.usage
    counts = (tally.rows, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens)
    amounts = (formatted(amount, currency).removesuffix(f" {currency}") for amount in (usage.device_cost, usage.charge))
    return [*(f"{count:,}" for count in counts), f"{usage.device_ns / 1e9:,.1f}", *amounts]
