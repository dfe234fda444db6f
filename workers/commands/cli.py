"""The commands that need workers: `run`, `work` and `models pull`, added to those of `jobs/commands/cli.py`.

Thin: each reads its options, calls `run.py`, `work.py` or `models.py`, and says how it went. Standard output is for
results, standard error for progress. Heavy imports wait until a command runs.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands import shell_completion as completion
from jobs.commands.session import BATCH
from jobs.errors import ModelUnavailable, RequestError
from jobs.formats.input_format import InputFormat

if TYPE_CHECKING:
    from jobs.commands.session import Session


def register(app: typer.Typer) -> None:
    """Add the commands of the workers to `app`."""
    from jobs.commands.models import models

    app.command(epilog="Example: nightpress run requests.jsonl --kind article --out tonight")(run)
    app.command(epilog="Example: nightpress work --workers 8 --model smollm2-135m")(work)
    app.command(epilog="Example: nightpress replay night-5f2c81 7")(replay)
    models.command("pull", epilog="Example: nightpress models pull smollm2-135m")(pull)


def run(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="JSON Lines, CSV, OpenAI batch or Parquet; a URL; - is standard input."),
    ],
    kind: Annotated[
        str | None, typer.Option(help="The kind of rows that name none.", autocompletion=completion.kinds)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of rows that name none.", autocompletion=completion.models)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files go.  [default: out/<name of the file>]")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="For rows that lack it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rows: a canary.")] = None,
    form: Annotated[
        InputFormat | None, typer.Option("--format", help="How the file is written.  [default: as it looks]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers for each model.  [default: by the devices]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the whole file when a row is bad.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Make a new batch of what was done already.")] = False,
) -> None:
    """Do everything here: a server, Ray and workers; then the finished files in one folder.

    Run it again after an interruption and it goes on where it was.
    """
    _needs("ray", "torch", "transformers")
    from jobs import logs
    from jobs.batches.rounds import read_round
    from jobs.formats.source import source_name
    from jobs.intake.accept import IntakeOptions, accept_file
    from workers.commands.interrupts import draining
    from workers.commands.report import Reporter
    from workers.commands.run import Run

    session: Session = ctx.obj
    settings, store = session.settings, session.store
    logs.configure("warning" if sys.stderr.isatty() else settings.log_level, settings.log_format)
    folder = out or Path("out") / (source_name(file) or "batch")
    options = IntakeOptions(kind=kind, model=model, set=tuple(set_ or ()), limit=limit, strict=strict, form=form)
    accepted = accept_file(store, file, options, settings, _run_key(folder, again=again))
    batch = accepted.batch
    reporter = Reporter(store, batch, settings, _invoked())
    done, elapsed_s = read_round(store, batch).published, None
    if done is None:
        began = time.monotonic()
        job = Run(store, batch, settings, show=reporter.show, say=reporter.say, workers=workers)
        with draining(lambda _: job.interrupt()), reporter:
            done = job.until_published()
        elapsed_s = time.monotonic() - began
    if done is None:
        reporter.interrupted(shlex.join(sys.argv[1:]))
        raise typer.Exit(130)
    reporter.published(done, folder, elapsed_s)
    raise typer.Exit(0 if done.counts.get("completed", 0) == batch.rows else 1)


def work(
    ctx: typer.Context,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers for each model.  [default: by the devices]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Only these models.  [default: what open batches need]", autocompletion=completion.models),
    ] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when no batch is open.")] = False,
) -> None:
    """Start a fleet of workers on the Ray cluster that is found, or on a local one.

    SIGTERM or Ctrl-C drains it: what is nearly done finishes, the rest goes back to the queue.
    """
    _needs("ray", "torch", "transformers")
    from jobs import logs
    from workers.commands.interrupts import draining
    from workers.commands.work import Work

    session: Session = ctx.obj
    logs.configure(session.settings.log_level, session.settings.log_format)
    job = Work(session.settings, tuple(model or ()), workers, until_empty)
    interrupted: list[int] = []

    def interrupt(number: int) -> None:
        interrupted.append(number)
        job.interrupt()

    with draining(interrupt):
        job.run()
    if signal.SIGINT in interrupted:
        raise typer.Exit(130)


def replay(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[int, typer.Argument(metavar="ROW", min=0, help="The row's number: rows count from 0.")],
    as_json: Annotated[bool, typer.Option("--json", help="The output of this time, and what differs.")] = False,
) -> None:
    """Run a completed row again, and say whether the same comes out.

    With its receipt's model, seed and params, on this machine. Nothing is stored or charged.
    """
    from jobs import logs
    from jobs.batches.request_row import RowRequest
    from jobs.operations.row_history import published_row, request_of
    from workers.commands.replay import replay as replay_row
    from workers.commands.replay import told

    session: Session = ctx.obj
    logs.configure("warning", session.settings.log_format)
    found = session.batch(batch)
    if row >= found.rows:
        raise RequestError(f"{found.batch_id} has rows 0 to {found.rows - 1}")
    published, request = published_row(session.store, found, row), request_of(session.store, found, row)
    if published is None or request is None or published["status"] != "completed":
        state = "is not published yet" if published is None else "did not complete"
        raise RequestError(f"row {row} of {found.batch_id} {state}: nightpress show {found.batch_id} {row}")
    again = replay_row(found.batch_id, RowRequest(**request), published, session.settings)
    if as_json:
        session.write_json({"same": again.same, "differs": again.differs, "output": again.output, "error": again.error})
    elif again.error is not None:
        session.write(f"row {row}: it fails this time: {again.error}")
    else:
        session.write(f"row {row}: {'the same output' if again.same else 'another output'}")
    for name in again.differs if not as_json else ():
        session.write(f"  differs: {told(name, published, again.receipt)}")
    if again.unexplained and again.error is None and not as_json:
        dtype = again.receipt.get("dtype", "this number format")
        session.write(
            f"  nothing of its receipt does: in {dtype}, who shares a step may change a token; float32 keeps it"
        )
    raise typer.Exit(0 if again.same else 1)


def pull(
    ctx: typer.Context,
    alias: Annotated[
        str, typer.Argument(help="The model; `nightpress models list` shows them.", autocompletion=completion.models)
    ],
) -> None:
    """Fetch a model's files, and convert them where that is needed, for machines without a network."""
    from workers.commands.work import known
    from workers.engines import weights

    session: Session = ctx.obj
    card = session.settings.catalog[known(alias, session.settings)]
    session.write(weights.pull(alias, card, session.settings.cache_dir))


def _invoked() -> str:
    """How this command was called: by its name where the path leads to it, else as it was typed."""
    typed = Path(sys.argv[0])
    found = shutil.which(typed.name)
    if found and Path(found).samefile(typed):
        return typed.name
    near = os.path.relpath(typed)
    return str(typed) if near.startswith("..") else near


def _run_key(folder: Path, *, again: bool) -> str:
    """The output folder, so that the same command is the same batch. With --again, a key that was never used."""
    key = f"run:{folder.resolve()}"
    return f"{key}:{uuid.uuid4().hex}" if again else key


def _needs(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelUnavailable(f"this command needs {', '.join(missing)}: pip install 'nightpress[workers,local]'")
