"""`usage`: what was used, what it cost and what is charged, added up over published batches."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.session import Session

if TYPE_CHECKING:
    from jobs.accounts.summary import Tally
    from jobs.errors import StoreDamaged


class By(StrEnum):
    """What usage is added up by."""

    TENANT = "tenant"
    MODEL = "model"
    BATCH = "batch"
    KIND = "kind"
    DAY = "day"


class Form(StrEnum):
    """How the sums are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress usage --by tenant --since 2026-11-01 --until 2026-12-01 --format csv")(
        usage
    )


def usage(
    ctx: typer.Context,
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.BATCH,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Published then or later: 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Published before then.")] = None,
    form: Annotated[Form, typer.Option("--format", help="json and csv give whole billionths.")] = Form.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Add up what was used, and what it cost.

    Of published batches alone. `device cost` is what it cost us, `charge` what is charged for it. What is damaged is left
    out and named, with exit status 3.
    """
    from jobs.accounts.tallies import tallies
    from jobs.typed_times import parse

    session: Session = ctx.obj
    now = session.clock()
    faults: list[StoreDamaged] = []
    sums = tallies(
        session.store,
        by.value,
        since=parse(since, now) if since else None,
        until=parse(until, now) if until else None,
        faults=faults,
    )
    if form is Form.CSV and not as_json:
        _write_csv(by, sums)
    elif as_json or form is Form.JSON:
        session.write_json(
            [
                {by.value: key, "currency": currency, **tally.as_dict()}
                for currency, tallied in sums.items()
                for key, tally in tallied.items()
            ]
        )
    elif not any(sums.values()):
        session.say("nothing was published then: `nightpress status` shows what is open")
    else:
        _print_table(session, by, sums)
    session.say_damaged(faults)


def _write_csv(by: By, sums: Mapping[str, Mapping[str, Tally]]) -> None:
    from jobs.accounts.summary import Tally

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([by.value, "currency", *Tally().as_dict()])
    for currency, tallied in sums.items():
        for key, tally in tallied.items():
            writer.writerow([key, currency, *tally.as_dict().values()])


def _print_table(session: Session, by: By, sums: Mapping[str, Mapping[str, Tally]]) -> None:
    from rich import box
    from rich.table import Table

    from jobs.accounts.summary import Tally

    for currency, tallied in sums.items():
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column(by.value, overflow="fold", min_width=10)
        for name in ("rows", "prompt", "cached", "completion", "device s", f"cost {currency}", f"charge {currency}"):
            table.add_column(name, justify="right", overflow="fold")
        for key, tally in tallied.items():
            table.add_row(key, *_cells(tally, currency))
        table.add_section()
        table.add_row("total", *_cells(sum(tallied.values(), Tally()), currency))
        session.out.print(table)


def _cells(tally: Tally, currency: str) -> Sequence[str]:
    from jobs.prices import formatted

    usage = tally.usage
    counts = (tally.rows, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens)
    amounts = (formatted(amount, currency).removesuffix(f" {currency}") for amount in (usage.device_cost, usage.charge))
    return [*(f"{count:,}" for count in counts), f"{usage.device_ns / 1e9:,.1f}", *amounts]
