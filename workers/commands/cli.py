"""The commands `run`, `work`, `nightly`, `replay`, `models pull` and `models env`, added to those of `jobs/commands/cli.py`.

Each command reads its options, calls the module that does the work, and reports the result. Results go to standard output,
progress to standard error. Heavy imports wait until a command runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.options import input_file as opt
from jobs.commands.options import shell_completion as completion
from jobs.commands.options.review import AcceptReview
from jobs.commands.options.row_name import RowCommand
from jobs.commands.session import BATCH, ROW
from jobs.errors import ModelUnavailable, RequestError, UnavailableError
from jobs.printable import shell_word

if TYPE_CHECKING:
    from jobs.commands.session import Session
    from jobs.settings import Settings


class EnvironmentName(StrEnum):
    """The engines that `models env` makes environments for."""

    VLLM = "vllm"


class EnvironmentDevice(StrEnum):
    """What an environment of `models env` is for."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    from jobs.commands.models import models

    app.command(epilog="Example: nightpress run requests.jsonl --kind article --out tonight")(run)
    app.command(epilog="Example: nightpress work --workers 8 --model smollm2-135m")(work)
    app.command(epilog="Example: nightpress nightly inbox --until 07:30 --out published")(nightly)
    app.command(cls=RowCommand, epilog="Example: nightpress replay night-5f2c81 7")(replay)
    models.command("pull", epilog="Example: nightpress models pull smollm2-135m")(pull)
    models.command("env", epilog="Example: nightpress models env vllm")(env)


def run(
    ctx: typer.Context,
    files: opt.Files,
    kind: opt.Kind = None,
    model: opt.Model = None,
    override_model: opt.OverrideModel = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder for the files.  [default: out/<name of the file>]")
    ] = None,
    set_: opt.Set = None,
    map_: opt.Map = None,
    extra: opt.Extra = None,
    header: opt.Header = None,
    header_row: opt.HeaderRow = None,
    tenant: opt.Tenant = None,
    rows_may_set: opt.RowsMaySet = None,
    limit: opt.Limit = None,
    budget: opt.Budget = None,
    form: opt.Format = None,
    with_done: opt.All = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers for each model.  [default: as many as its rows keep busy]")
    ] = None,
    strict: opt.Strict = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make a new batch, also if the same command has made one.")
    ] = False,
    accept_review: AcceptReview = False,
) -> None:
    """Turn a file into finished content in one folder, on this machine.

    Starts workers, and an embedded Redis and a local Ray unless others are set. After an interruption, the same command
    continues where the run stopped. Exit status 0 if every row completed and can be published as it is, otherwise 1.
    """
    _needs_packages()
    from jobs.batches.rounds import read_round
    from jobs.commands.views.remarks import remark_lines
    from jobs.intake.accept import accept_file
    from jobs.operations.enqueue_options import intake_options
    from workers.commands.interrupts import on_interrupt
    from workers.commands.report import Reporter
    from workers.commands.run import Run
    from workers.logs import standard_error

    session: Session = ctx.obj
    settings, store = _settings(session), session.store
    if sys.stderr.isatty() and settings.log_format != "json":  # a person sees the bar, and messages about faults
        settings = settings.model_copy(update={"log_level": "warning"})
    standard_error.configure(settings.log_level, settings.log_format)
    folder = out or Path("out") / _name_of(files)
    given = opt.input_options(
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
    )
    options = intake_options({**given, "limit": limit, "budget": budget, "strict": strict}, clock=session.clock)
    accepted = accept_file(store, files, options, settings, _run_key(folder, again=again))
    batch = accepted.batch
    for line in remark_lines(accepted.remarks):
        session.say(line)
    reporter = Reporter(store, batch, settings, _invoked())
    done, elapsed_s = read_round(store, batch).published, None
    if done is None:
        began = time.monotonic()
        job = Run(store, batch, settings, show=reporter.show, report=reporter.report, workers=workers)
        with on_interrupt(lambda _: job.interrupt()), reporter:
            done = job.until_published()
        elapsed_s = time.monotonic() - began
    if done is None:
        reporter.interrupted(" ".join(map(shell_word, sys.argv[1:])))
        raise typer.Exit(130)
    reporter.published(done, folder, elapsed_s)
    is_whole = batch.documents is None or _write_documents(session, batch.batch_id, folder)
    accept_review = accept_review or settings.accept_review
    raise typer.Exit(0 if is_whole and done.is_kept(batch.rows, accept_review=accept_review) else 1)


class WorkAction(StrEnum):
    """What `work` does with a fleet that runs."""

    STATUS = "status"
    STOP = "stop"


def work(
    ctx: typer.Context,
    action: Annotated[
        WorkAction | None, typer.Argument(metavar="[ACTION]", help="status or stop, of the fleet that runs.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers for each model.  [default: as many as its rows keep busy]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these models.  [default: those that open batches need]", autocompletion=completion.models
        ),
    ] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when no batch is open.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the fleet running on the cluster, and end this command.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="With stop: wait for no row.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With status: one JSON object.")] = False,
) -> None:
    """Run a fleet of workers for all open batches.

    Joins the Ray cluster that is set or found, or starts a local one. On Ctrl-C or SIGTERM, rows that are nearly done
    finish, and the others go back to the queue. If the cluster has a fleet of the same store already, this command stands by.
    `work status` shows the fleet of the store on the cluster, and `work stop` ends it.
    """
    _needs_packages()
    _check_work_options(
        action, {"--workers": workers, "--model": model, "--until-empty": until_empty, "--detach": detach}, now, as_json
    )
    from workers.commands import detached
    from workers.commands.interrupts import on_interrupt
    from workers.commands.work import Work
    from workers.logs import standard_error

    session: Session = ctx.obj
    settings = _settings(session)
    is_short = detach or action is not None  # it speaks as the commands do that start nothing, also without a terminal
    form = "console" if is_short and settings.log_format == "auto" else settings.log_format
    standard_error.configure(settings.log_level, form)
    if detach:
        session.say(detached.detach(settings, tuple(model or ()), workers))
        return
    if action is WorkAction.STOP:
        session.say(detached.stop(settings, now=now))
        return
    if action is WorkAction.STATUS:
        shown = detached.status(settings)
        if shown is None:
            raise UnavailableError("no fleet of this store runs on this cluster: nightpress work --detach starts one")
        if as_json:
            session.write_json(shown)
        for line in detached.status_lines(shown) if not as_json else ():
            session.write(line)
        return
    job = Work(settings, tuple(model or ()), workers, until_empty)
    interrupted: list[int] = []

    def interrupt(number: int) -> None:
        interrupted.append(number)
        job.interrupt()

    with on_interrupt(interrupt):
        job.run()
    if signal.SIGINT in interrupted:
        raise typer.Exit(130)


def nightly(
    ctx: typer.Context,
    inbox: Annotated[
        Path, typer.Argument(metavar="INBOX", help="A folder of files, in any format that enqueue reads.")
    ],
    until: Annotated[
        str, typer.Option(metavar="WHEN", help="When rows that are not done expire: 07:30, +8h, a date.")
    ] = "07:30",
    publish_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Publish what is ready then, such as 06:00; the rest follows.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the outputs go.")] = Path("published"),
    kind: opt.Kind = None,
    model: opt.Model = None,
    set_: opt.Set = None,
    map_: opt.Map = None,
    extra: opt.Extra = None,
    header: opt.Header = None,
    header_row: opt.HeaderRow = None,
    tenant: opt.Tenant = None,
    rows_may_set: opt.RowsMaySet = None,
    budget: opt.BudgetOfEach = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers for each model.  [default: as many as its rows keep busy]")
    ] = None,
) -> None:
    """Publish every file of a folder by the morning.

    Each file becomes a batch. Outputs go to DIR/<date>/<file>/, and inputs to INBOX/done/<date>/. Documents come back translated
    with --kind translation and --set of their languages. A faulty file stays in the inbox. It is named with the reason, and the
    other files are processed. After an interruption, the same command continues the night. Exit status: 2 if a file was refused,
    1 if a row did not complete or is for review.
    """
    _needs_packages()
    from jobs.intake.column_options import columns_of
    from jobs.operations.enqueue_options import rights_of
    from jobs.prices import money_of
    from workers.commands.interrupts import on_interrupt
    from workers.commands.nightly import Night, NightOptions
    from workers.commands.work import Work
    from workers.logs import standard_error

    session: Session = ctx.obj
    settings = _settings(session)
    standard_error.configure(settings.log_level, settings.log_format)
    columns = columns_of(map_ or (), extra or (), header or (), header_row)
    rights = None if rows_may_set is None else rights_of(rows_may_set)
    money = None if budget is None else money_of(budget, "--budget")
    options = NightOptions(
        inbox, out, until, publish_at, kind, model, tuple(set_ or ()), columns, tenant, rights, money
    )
    night = Night(session.store, session.settings, options, session.say, session.write)
    work = Work(session.settings, workers=workers, until_empty=True)
    interrupted: list[int] = []

    def interrupt(number: int) -> None:
        interrupted.append(number)
        work.interrupt()

    with night.alone():
        night.accept()
        with on_interrupt(interrupt):
            if night.has_work:
                work.run()
        if interrupted:
            raise typer.Exit(130)
        night.deliver()
    raise typer.Exit(night.status)


def replay(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[str, typer.Argument(metavar="ROW", help=ROW)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: the new output, and what differs.")] = False,
) -> None:
    """Run a completed row again, and say whether its output and its verdict are the same.

    It runs with the same request and seed, on this machine. Nothing is stored or charged.
    """
    from jobs import logs
    from jobs.batches.request_row import RowRequest
    from jobs.operations.row_history import published_row, request_of
    from workers.commands.replay import describe_difference
    from workers.commands.replay import replay as replay_row

    session: Session = ctx.obj
    logs.configure("warning", session.settings.log_format)
    found = session.batch(batch)
    number = session.row(found.batch_id, row)
    published, request = published_row(session.store, found, number), request_of(session.store, found, number)
    if published is None or request is None or published["status"] != "completed":
        state = "is not published yet" if published is None else "did not complete"
        raise RequestError(f"row {number} of {found.batch_id} {state}: nightpress show {found.batch_id} {number}")
    again = replay_row(found.batch_id, RowRequest(**request), published, session.settings, found.created_at)
    if as_json:
        session.write_json(
            {
                "same": again.same,
                "differs": again.differs,
                "verdict": again.verdict,
                "output": again.output,
                "error": again.error,
            }
        )
    elif again.error is not None:
        session.write(f"row {number}: it failed this time: {again.error}")
    else:
        session.write(f"row {number}: {'the same output' if again.same else 'another output'}")
    now = {**again.receipt, "verdict": again.verdict}
    for name in again.differs if not as_json else ():
        session.write(f"  differs: {describe_difference(name, published, now)}")
    if not again.same and again.receipt.get("reproducible") == "no" and not as_json:
        session.write("  its server promises no text twice: the same seed may give another one")
    elif again.unexplained and again.error is None and not as_json:
        dtype = again.receipt.get("dtype", "its number format")
        session.write(
            f"  its receipt is the same: in {dtype}, the rows that share a step may change a token, in float32 not"
        )
    raise typer.Exit(0 if again.same else 1)


def pull(
    ctx: typer.Context,
    alias: Annotated[
        str,
        typer.Argument(help="The model's alias; `nightpress models list` shows all.", autocompletion=completion.models),
    ],
) -> None:
    """Fetch the files of a model and its adapters, and convert them if needed, so that workers can run without a network."""
    from workers.commands.work import known
    from workers.engines import adapter_files, weights

    session: Session = ctx.obj
    card = session.settings.catalog[known(alias, session.settings)]
    session.write(weights.pull(alias, card, session.settings.cache_dir))
    for name, adapter in sorted(card.adapters.items()) if card.has_files else ():
        session.write(f"{name}: {adapter_files.fetch(alias, name, adapter, session.settings.cache_dir)}")


def env(
    ctx: typer.Context,
    engine: Annotated[EnvironmentName, typer.Argument(help="The engine that needs an environment of its own.")],
    device: Annotated[
        EnvironmentDevice, typer.Option(help="What it is for; auto: a GPU if torch sees one here.")
    ] = EnvironmentDevice.AUTO,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PATH", help="A wheel or folder of Nightpress.  [default: as it was installed here]"
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Make it anew, also if it is there and fits.")] = False,
) -> None:
    """Make the environment that an engine runs in, beside this one. It takes some minutes and gigabytes, once a machine.

    Workers of models on vLLM are started in it. On a cluster, each node with such workers needs it in the same folder.
    """
    _needs_packages()
    from workers.commands.environments import device_here, make_vllm

    session: Session = ctx.obj
    settings = session.settings
    chosen = device_here() if device is EnvironmentDevice.AUTO else "cpu" if device is EnvironmentDevice.CPU else "cuda"
    packages = [card.package for card in settings.catalog.values() if card.package is not None]
    session.say(f"making the environment of {engine.value} for {chosen}, unless it is there: some minutes")
    made, is_new = make_vllm(settings.cache_dir, chosen, packages, source=source, again=again)
    word = "made" if is_new else "there"
    session.write(f"{word}: {made.folder}: vLLM {made.vllm}, Ray {made.ray}, Python {made.python}")


def _check_work_options(action: WorkAction | None, of_a_start: Mapping[str, object], now: bool, as_json: bool) -> None:
    """Raise RequestError if options of `work` do not go together."""
    given = [name for name, value in of_a_start.items() if value]
    if action is not None and given:
        raise RequestError(f"work {action} takes no {given[0]}")
    if of_a_start["--detach"] and of_a_start["--until-empty"]:
        raise RequestError("--detach and --until-empty do not go together: a detached fleet runs until work stop")
    if now and action is not WorkAction.STOP:
        raise RequestError("--now goes with nightpress work stop")
    if as_json and action is not WorkAction.STATUS:
        raise RequestError("--json goes with nightpress work status")


def _settings(session: Session) -> Settings:
    """Return the settings. If a setting is wrong, the error is logged as if no setting were given."""
    from jobs import logs

    try:
        return session.settings
    except RequestError:
        logs.configure("warning")
        raise


def _invoked() -> str:
    """Return how to call this program again: by its name if the shell finds it under that name, else by its path."""
    typed = Path(sys.argv[0])
    found = shutil.which(typed.name)
    if found and Path(found).samefile(typed):
        return typed.name
    near = os.path.relpath(typed)
    return str(typed) if near.startswith("..") else near


def _write_documents(session: Session, batch_id: str, folder: Path) -> bool:
    """Write the translated documents of a run beside its rows. Returns whether every segment is translated."""
    from jobs.commands.views.documents import lines

    report = session.client.write_documents(batch_id, str(folder))
    for line in lines(report, str(folder)):
        session.say(line)
    return report.is_whole


def _name_of(files: Sequence[str]) -> str:
    """Return the name of the output folder of a run: that of its only file or folder."""
    from jobs.formats.source import source_name

    return (source_name(files[0].rstrip("/")) if len(files) == 1 else None) or "batch"


def _run_key(folder: Path, *, again: bool) -> str:
    """Return the run key. It holds the output folder, so that the same command finds the same batch. With `again`, it is new."""
    key = f"run:{folder.resolve()}"
    return f"{key}:{uuid.uuid4().hex}" if again else key


def _needs_packages() -> None:
    from workers.commands.packages import INSTALL, missing_packages

    if missing := missing_packages():
        raise ModelUnavailable(f"this command needs {', '.join(missing)}: {INSTALL}")
