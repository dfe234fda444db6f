"""`enqueue` makes a batch of a file of requests, and prints only its id on standard output. `quote` shows what it will take."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, Session
from jobs.errors import BatchUnfinished, OutputUnavailable, RequestError
from jobs.formats.results.form import ResultForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.batches.quotes.quoted import Quoted
    from jobs.operations.enqueue_options import EnqueueOptions
    from jobs.operations.enqueueing import AcceptedBatch
    from jobs.operations.status import BatchStatus, Status

SHOWN_FAULTS = 20
"""At most this many refused rows are named; `failed list` names all."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress enqueue night.jsonl --model smollm2-135m --deadline 06:00")(enqueue)
    app.command(epilog="Example: nightpress quote night-5f2c81")(quote)


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
    quote: Annotated[
        bool,
        typer.Option("--quote", help="Run a sample of the rows, say what the whole takes, and wait for an answer."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --quote: run the other rows without an answer.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make no batch; show its rows, faults, tokens and cost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run or --quote: as JSON.")] = False,
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
        "quote": quote,
        "go_on": yes,
    }
    if dry_run and quote:
        raise RequestError("--dry-run runs nothing, and --quote runs a sample: give one of them")
    if as_json and not dry_run and not quote:
        raise RequestError("--json belongs to --dry-run and --quote: the id is printed alone")
    if dry_run:
        _estimate(session, files, options, as_json=as_json)
        return
    accepted = session.client.enqueue(files, run_key=_run_key(run_key, again=again), **options)
    _report(session, accepted)
    if not as_json:
        try:
            session.write(accepted.id, at_once=True)
        except OutputUnavailable as error:
            raise OutputUnavailable(f"{error}. The batch {accepted.id} is accepted all the same") from None
    if quote:
        _quote_new(session, accepted, as_json=as_json, yes=yes)
    else:
        _say_if_queue_is_away(session)


def quote(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the quote is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the quote of a batch that was enqueued with --quote.

    The quote says what the whole batch takes, from a sample of its rows: tokens, charge and device time, each with an interval
    that holds the truth in 95 of 100 batches, and the bound by max_tokens. Exit status 4 if it is not there yet.
    """
    from jobs.commands.views.quote import answers, heading, notes, strata_table, table
    from jobs.prices import formatted

    session: Session = ctx.obj
    batch_id = session.batch(batch).batch_id
    quoted = session.client.quote(batch_id, None if wait else 0.0)
    if as_json:
        session.write_json({"batch": batch_id, **quoted.model_dump(mode="json")})
        return
    session.write(f"{batch_id}: {heading(quoted)}")
    session.write_table(table(quoted))
    if (strata := strata_table(quoted)) is not None:
        session.write_table(strata, gap=True)
    for line in notes(quoted):
        session.write(line)
    one = session.client.status(batch_id)
    if one.state == "quoted":
        session.write(answers(batch_id))
    elif one.state == "published":
        tokens = one.usage.prompt_tokens + one.usage.completion_tokens
        session.write(
            f"the batch is published: it took {tokens:,} tokens, and is charged {formatted(one.usage.charge, one.currency)}"
        )


def _quote_new(session: Session, accepted: AcceptedBatch, *, as_json: bool, yes: bool) -> None:
    """Wait for the quote of a batch, show it, and ask for an answer. Raises BatchUnfinished if no worker runs the sample."""
    from jobs.commands.views.quote import heading, notes, strata_table, table
    from jobs.operations.waiting import wait_for_quote

    if not accepted.is_quoted:
        raise RequestError(f"{accepted.id} exists already, and was enqueued without --quote: --again makes another")
    session.say(f"a sample of its rows runs first; the quote can be read again: nightpress quote {accepted.id}")
    drawn: int | None = None

    def look(now: Status, one: BatchStatus) -> None:
        nonlocal drawn
        if now.queue_fault is not None or not _has_worker(session, now, accepted.models):
            reason = now.queue_fault or "no worker is at work on its models"
            raise BatchUnfinished(
                f"{accepted.id} is not quoted yet: {reason}. It is accepted: once nightpress work runs, "
                f"nightpress quote {accepted.id} --wait shows the quote"
            )
        if one.drawn != drawn:
            drawn = one.drawn
            session.say(f"  {drawn or 0:,} rows are drawn, {one.worked:,} of them have an outcome")

    reader = session.client.status_reader()
    quoted = wait_for_quote(reader, accepted.id, until=None, sleep=session.sleep, clock=session.clock, look=look)
    if as_json:
        session.write_json({"batch": accepted.id, **quoted.model_dump(mode="json")})
    else:
        for line in (heading(quoted), *table(quoted).lines(session.width)):
            session.say(line)
        for line in (*(strata.lines(session.width) if (strata := strata_table(quoted)) else ()), *notes(quoted)):
            session.say(line)
    _ask(session, accepted.id, quoted, yes=yes)


def _has_worker(session: Session, now: Status, models: Sequence[str]) -> bool:
    """Whether a worker of each model was heard of lately, so that the sample is run."""
    from jobs.commands.views.status import SILENT_S

    heard = {worker.lane for worker in now.workers if worker.silent_s < SILENT_S}
    return all(session.settings.lane_of(model) in heard for model in models)


def _ask(session: Session, batch_id: str, quoted: Quoted, *, yes: bool) -> None:
    """Let the other rows run if the user agrees, on a terminal or by --yes; else say how to answer later."""
    from jobs.commands.views.quote import answers

    if session.client.status(batch_id).state != "quoted":
        session.say(
            f"{batch_id} goes on" if quoted.sampled < quoted.rows else f"{batch_id} is done: nothing is left to run"
        )
        return
    if yes or (session.can_ask and session.asks(f"run the other {quoted.rows - quoted.sampled:,} rows?")):
        session.client.resume(batch_id)
        session.say(f"{batch_id} goes on")
    else:
        session.say(answers(batch_id))


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
