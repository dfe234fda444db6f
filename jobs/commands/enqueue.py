"""`enqueue`: makes a batch of a file of requests. Its id is all that goes to standard output."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import Session
from jobs.errors import RequestError
from jobs.formats.record import InputFormat
from jobs.formats.results.form import ResultForm

if TYPE_CHECKING:
    from datetime import datetime

    from jobs.intake.accept import Accepted, IntakeOptions
    from jobs.operations.estimate import Estimate

SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress enqueue night.jsonl --model smollm2-135m --deadline 06:00")(enqueue)


def enqueue(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="JSON Lines, CSV, OpenAI batch or Parquet; a URL; - is standard input."),
    ],
    kind: Annotated[
        str | None, typer.Option(help="The kind of rows that name none.", autocompletion=completion.kinds)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of rows that name none.", autocompletion=completion.models)
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="For rows that lack it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the id begins with.  [default: the file's name]")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whom the rows are billed to that name no tenant.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="9 goes first.")] = 4,
    deadline: Annotated[str | None, typer.Option(metavar="WHEN", help="When to give up: 06:00, +8h, a date.")] = None,
    publish_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Publish what is ready then; the rest comes as round 2.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rows: a canary.")] = None,
    output_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the outputs go at publishing; with / at the end, a folder.")
    ] = None,
    output_form: Annotated[
        ResultForm, typer.Option("--output-format", help="How they are written there.")
    ] = ResultForm.JSONL,
    form: Annotated[
        InputFormat | None, typer.Option("--format", help="How the file is written.  [default: as it looks]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the whole file when a row is bad.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make a new batch of what a run key has named before.")
    ] = False,
    run_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same rows with the same key are one batch.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take: rows, faults, tokens, cost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: as JSON.")] = False,
) -> None:
    """Make a batch of a file, and print its id.

    Workers take it up from there. A row that cannot be accepted becomes a failed row, and harms no other.
    """
    from jobs import logs
    from jobs.intake.accept import IntakeOptions, StrictRefused, accept_file
    from jobs.publishing.delivery import check_output_url
    from jobs.typed_times import parse

    session: Session = ctx.obj
    settings = session.settings
    logs.configure("warning", settings.log_format)

    def moment(typed: str | None, option: str) -> datetime | None:
        """What is there already by its run key may be asked for after its time."""
        return parse(typed, session.clock()) if typed and run_key is not None else session.moment(typed, option)

    options = IntakeOptions(
        kind=kind,
        model=model,
        set=tuple(set_ or ()),
        name=name,
        tenant=tenant,
        priority=priority,
        deadline=moment(deadline, "--deadline"),
        deadline_typed=deadline,
        form=form,
        publish_at=moment(publish_at, "--publish-at"),
        publish_at_typed=publish_at,
        limit=limit,
        strict=strict,
        output_url=None if output_url is None else check_output_url(output_url, output_form),
        output_form=None if output_url is None else str(output_form),
    )
    if options.publish_at and options.deadline and options.publish_at >= options.deadline:
        raise RequestError(
            f"--publish-at {publish_at} is not before --deadline {deadline}: no second round could follow"
        )
    if dry_run:
        _estimate(session, file, options, as_json=as_json)
        return
    try:
        accepted = accept_file(session.store, file, options, settings, _run_key(run_key, again=again))
    except StrictRefused as refused:  # the one error of several lines: a line for each bad one
        session.say(f"nightpress: {refused}")
        raise typer.Exit(refused.exit_status) from None
    _say(session, accepted)
    session.write(accepted.batch.batch_id, at_once=True)
    _say_if_away(session)


def _say_if_away(session: Session) -> None:
    """The batch is in storage, which is all that it takes; a queue that is away only makes it wait."""
    from jobs.errors import QueueUnavailable

    try:
        if session.queue is not None:
            session.queue.ping(slow=lambda words: session.say(f"nightpress: {words}; the batch is accepted already"))
    except QueueUnavailable as error:
        session.say(f"nightpress: {error}. The batch is accepted all the same: workers find it when Redis is back")


def _estimate(session: Session, file: str, options: IntakeOptions, *, as_json: bool) -> None:
    """What the file would take. Exit status 1 when rows would be refused."""
    from dataclasses import asdict

    from jobs.formats.source import open_source
    from jobs.kinds.registry import load_kinds
    from jobs.operations.estimate import estimate

    settings = session.settings
    kinds = load_kinds(settings.templates_dir)
    with open_source(file, settings.options_for(file)) as source:
        found = estimate(session.store, source, options, kinds, settings)
    if as_json:
        session.write_json({**asdict(found), "usage": found.usage.as_dict(), "currency": settings.prices.currency})
    else:
        _write_estimate(session, found)
    raise typer.Exit(1 if found.refused else 0)


def _write_estimate(session: Session, found: Estimate) -> None:
    from rich import box
    from rich.table import Table

    from jobs.prices import formatted

    currency = session.settings.prices.currency
    session.write(
        f"{found.rows:,} row{'s' * (found.rows != 1)}, {found.refused:,} of them to be refused; nothing is enqueued"
    )
    for code, count in found.faults.items():
        session.write(f"  {count:,} {code}")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("kind", "lane"):
        table.add_column(name, overflow="fold", min_width=12)
    for name in ("rows", "in", "out", "device h", f"charge {currency}"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("by")
    for line in found.lines:
        usage = line.usage
        hours = f"{usage.device_ns / 3.6e12:,.2f}" if line.basis != "assumed" else "?"
        charge = formatted(usage.charge, currency).removesuffix(f" {currency}")
        counts = (f"{line.rows:,}", f"{usage.prompt_tokens:,}", f"{usage.completion_tokens:,}")
        table.add_row(line.kind, line.lane, *counts, hours, charge, line.basis)
    session.out.print(table)
    said = {
        "history": "history: what published rows of this kind, model and template took",
        "other templates": "other templates: what rows of this kind and model took that began with another template",
        "assumed": "assumed: as long as the kind expects, its first prompts at 4 bytes a token",
    }
    for basis in sorted({line.basis for line in found.lines}):
        session.write(said[basis])


def _run_key(named: str | None, *, again: bool) -> str:
    """A new one by default, so that each call is a batch of its own, unless the user names one."""
    fresh = uuid.uuid4().hex
    return fresh if named is None else f"{named}:{fresh}" if again else named


def _say(session: Session, accepted: Accepted) -> None:
    """How many rows were taken, and what is wrong with the first of those that were refused."""
    from jobs.batches.rounds import is_open

    batch = accepted.batch
    if not accepted.created:
        state = "is open" if is_open(session.store, batch.batch_id) else "is published"
        session.say(
            f"{batch.batch_id} is there already, from the same rows and run key, and {state}: --again makes another"
        )
    session.say(f"{batch.rows:,} row{'s' * (batch.rows != 1)}, {batch.refused:,} refused")
    for fault in accepted.faults[:SHOWN]:
        session.say(f"  {fault}")
    if batch.refused > SHOWN:
        session.say(f"  and {batch.refused - SHOWN:,} more: nightpress failed list {batch.batch_id}")
