"""`usage`: adds up what published batches used, what that cost and what is charged."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.session import Session

if TYPE_CHECKING:
    from jobs.accounts.summary import Tally
    from jobs.errors import StoreDamaged


class By(StrEnum):
    """The key by which usage is added up."""

    TENANT = "tenant"
    MODEL = "model"
    BATCH = "batch"
    KIND = "kind"
    DAY = "day"


class Form(StrEnum):
    """The format in which the sums are written."""

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
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Published then or later: 2026-11-01, 7d.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Published before then.")] = None,
    form: Annotated[Form, typer.Option("--format", help="json and csv give whole billionths.")] = Form.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Add up what published batches used, and what it cost.

    `cost` is what the devices cost us, `charge` what the tenant is charged. A damaged batch is left out and named, with exit
    status 3.
    """
    from jobs.typed_times import parse_past

    session: Session = ctx.obj
    faults: list[StoreDamaged] = []
    began, ended = (parse_past(when, session.clock()) if when else None for when in (since, until))
    sums = session.client.usage(by.value, since=began, until=ended, faults=faults)
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
        from jobs.commands.views.usage import tables

        for number, table in enumerate(tables(by.value, sums)):
            session.write_table(table, gap=number > 0)
    if by is By.TENANT:
        _say_budgets(session)
    session.say_damaged(faults)


def _say_budgets(session: Session) -> None:
    """Say how much of each tenant's budget is used in its present day and month."""
    from jobs.prices import exact

    for one in session.client.tenant_budgets():
        held, budget = exact(one.held, one.currency), exact(one.budget, one.currency)
        session.say(f"{one.tenant}: {held} of {budget} for {one.period} are charged or reserved")


def _write_csv(by: By, sums: Mapping[str, Mapping[str, Tally]]) -> None:
    from dataclasses import replace

    from jobs.accounts.summary import Tally
    from jobs.exchange.formulas import CsvWriter
    from jobs.usage import REMEMBERED, Remembered

    writer = CsvWriter(sys.stdout, line_end="\n")
    has_memory = any(any(tally.memory.counts) for tallied in sums.values() for tally in tallied.values())
    memory = [f"memory_{name}" for name in REMEMBERED] if has_memory else []
    writer.write([by.value, "currency", *Tally().as_dict(), *memory])
    for currency, tallied in sums.items():
        for key, tally in tallied.items():
            counts = replace(tally, memory=Remembered()).as_dict().values()
            writer.write([key, currency, *counts, *(tally.memory.counts if has_memory else ())])
