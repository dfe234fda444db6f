"""`enqueue`: makes a batch of a file of requests. Only the batch's id goes to standard output."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.session import Session
from jobs.errors import OutputUnavailable
from jobs.formats.results.form import ResultForm

if TYPE_CHECKING:
    from jobs.operations.enqueue_options import EnqueueOptions
    from jobs.operations.enqueueing import AcceptedBatch

SHOWN_FAULTS = 20
"""At most this many refused rows are named; `failed list` names all."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress enqueue night.jsonl --model smollm2-135m --deadline 06:00")(enqueue)


def enqueue(
    ctx: typer.Context,
    files: opt.Files,
    kind: opt.Kind = None,
    model: opt.Model = None,
    override_model: opt.OverrideModel = False,
    set_: opt.Set = None,
    map_: opt.Map = None,
    extra: opt.Extra = None,
    header: opt.Header = None,
    header_row: opt.HeaderRow = None,
    name: Annotated[str | None, typer.Option(help="The beginning of the id.  [default: the file's name]")] = None,
    tenant: opt.Tenant = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="9 goes first.")] = 4,
    rows_may_set: opt.RowsMaySet = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When unfinished rows expire: 06:00, +8h, a date.")
    ] = None,
    publish_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Publish what is ready then; the rest follows as round 2.")
    ] = None,
    limit: opt.Limit = None,
    budget: opt.Budget = None,
    output_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where published outputs go; with / at the end, a folder.")
    ] = None,
    output_format: Annotated[ResultForm, typer.Option(help="The format of the outputs there.")] = ResultForm.JSONL,
    form: opt.Format = None,
    with_done: opt.All = False,
    strict: opt.Strict = False,
    again: Annotated[bool, typer.Option("--again", help="Make a new batch, even if the run key has one.")] = False,
    run_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same rows with the same key are one batch.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make no batch; show its rows, faults, tokens and cost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: as JSON.")] = False,
) -> None:
    """Make a batch of a file or of documents, and print its id.

    Workers find the batch by themselves. A row that cannot be accepted becomes a failed row, and harms no other. If every
    row is bad, no batch is made.
    """
    session: Session = ctx.obj
    options: EnqueueOptions = {
        **opt.input_options(
            kind=kind,
            model=model,
            override_model=override_model,
            set_=set_,
            map_=map_,
            extra=extra,
            header=header,
            header_row=header_row,
            tenant=tenant,
            rows_may_set=rows_may_set,
            form=form,
            with_done=with_done,
        ),
        "name": name,
        "priority": priority,
        "deadline": deadline,
        "publish_at": publish_at,
        "limit": limit,
        "budget": budget,
        "strict": strict,
        "output_url": output_url,
        "output_format": output_format,
    }
    if dry_run:
        _estimate(session, files, options, as_json=as_json)
        return
    accepted = session.client.enqueue(files, run_key=_run_key(run_key, again=again), **options)
    _report(session, accepted)
    try:
        session.write(accepted.id, at_once=True)
    except OutputUnavailable as error:
        raise OutputUnavailable(f"{error}. The batch {accepted.id} is accepted all the same") from None
    _say_if_queue_is_away(session)


def _run_key(named: str | None, *, again: bool) -> str | None:
    """Return the key that the user named, or with --again a new key that begins with that key; None if none was named."""
    return f"{named}:{uuid.uuid4().hex}" if named is not None and again else named


def _report(session: Session, accepted: AcceptedBatch) -> None:
    """Say how many rows were accepted, and what is wrong with the first refused rows."""
    from jobs.batches.rounds import is_open
    from jobs.commands.views.batch import documents_in_words
    from jobs.commands.views.prices import free_models
    from jobs.commands.views.remarks import remark_lines

    if not accepted.is_new:
        state = "is open" if is_open(session.store, accepted.id) else "is published"
        session.say(f"{accepted.id} exists already, from the same rows and run key, and {state}: --again makes another")
    session.say(f"{accepted.rows:,} row{'s' * (accepted.rows != 1)}, {accepted.refused:,} refused")
    if accepted.documents:
        session.say(f"  {documents_in_words(accepted.documents, accepted.languages)}")
    prices = session.settings.prices
    if prices.are_own and (free := free_models(prices, list(accepted.models))) is not None:
        session.say(f"  {free}")
    for line in (*map(str, accepted.faults[:SHOWN_FAULTS]), *remark_lines(accepted.remarks)):
        session.say(f"  {line}")
    if accepted.refused > SHOWN_FAULTS:
        session.say(f"  and {accepted.refused - SHOWN_FAULTS:,} more: nightpress failed list {accepted.id}")
    if accepted.refused and not accepted.documents:
        session.say(f"  to correct them: nightpress failed export {accepted.id} -o FILE")


def _say_if_queue_is_away(session: Session) -> None:
    """Warn if Redis does not answer. The batch is in storage, so nothing is lost."""
    from jobs.errors import QueueUnavailable

    try:
        if session.queue is not None:
            session.queue.ping(
                slow=lambda message: session.say(f"nightpress: {message}; the batch is accepted already")
            )
    except QueueUnavailable as error:
        session.say(f"nightpress: {error}. The batch is accepted all the same: workers find it when Redis is back")


def _estimate(session: Session, files: list[str], options: EnqueueOptions, *, as_json: bool) -> None:
    """Show the estimate of a file's tokens, device time and charge. Exit status 1 if rows would be refused."""
    from dataclasses import asdict

    from jobs.commands.views.estimate import heading, legend, table
    from jobs.commands.views.prices import free_models

    found = session.client.estimate(files, **options)
    currency = session.settings.prices.currency
    if as_json:
        session.write_json({**asdict(found), "usage": found.usage.as_dict(), "currency": currency})
    else:
        for line in heading(found):
            session.write(line)
        if found.lines:
            session.write_table(table(found, currency))
        for line in legend(found):
            session.write(line)
        if (free := free_models(session.settings.prices, sorted({line.model for line in found.lines}))) is not None:
            session.write(free)
    raise typer.Exit(1 if found.refused else 0)
