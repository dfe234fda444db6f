"""The entry of the command line: the app, its commands, and the one place that turns an error into a line and an exit status.

Exit status: 0 every row completed; 1 some rows did not complete or are for review; 2 the request is wrong; 3 something that the
command needs is missing or damaged; 4 the batch is not published; 5 the output cannot be written; 130 interrupted.
Standard output is for results, standard error for everything else.

Other packages add commands through the entry point group `nightpress.commands`: a callable that takes the app. A command
finds the Session in `ctx.obj`.
"""

import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
import typer.main

from jobs import logs
from jobs.commands import (
    control,
    doctor,
    enqueue,
    failed,
    models,
    plan,
    preview,
    results,
    retention,
    settings,
    show,
    status,
    usage,
)
from jobs.commands.content import checks, kinds, memory, terms
from jobs.commands.gateway import keys, serve
from jobs.commands.session import Session
from jobs.commands.views.standard_output import checked_streams, reason_of, takes_no_more
from jobs.errors import NightpressError, OutputUnavailable

INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell gives it for SIGINT."""

app = typer.Typer(
    name="nightpress",
    help="Turn a file of content requests into finished content, overnight, on your own GPUs.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: quick, and the same in a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 every row completed, 1 some did not or are for review, 2 the request is wrong, 3 something is missing,"
    " 4 not published, 5 the output cannot be written.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nightpress {version('nightpress')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del show_version


_PARTS = (
    enqueue,
    preview,
    plan,
    status,
    results,
    show,
    failed,
    usage,
    control,
    retention,
    kinds,
    checks,
    terms,
    models,
    memory,
    serve,
    keys,
    settings,
    doctor,
)
for part in _PARTS:
    part.register(app)


@cache
def load_extensions() -> None:
    """Add the commands of other installed packages. A package that cannot be imported is named in a message and left out."""
    for point in entry_points(group="nightpress.commands"):
        try:
            register = point.load()
        except ImportError as error:
            typer.echo(f"nightpress: the commands of {point.value} cannot be loaded: {error}", err=True)
        else:
            register(app)


@cache
def _command() -> Any:
    """Return the command line with all commands. A process builds it once."""
    load_extensions()
    return typer.main.get_command(app)


def main(args: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run one command and return its exit status. `args` are its arguments; if None, the arguments of the process are taken."""
    session = session or Session()
    with checked_streams():
        return _status_of(args, session)


def _status_of(args: Sequence[str] | None, session: Session) -> int:
    try:
        status = _ended(args, session)
        sys.stdout.flush()
        return status
    except NightpressError as error:
        _say(session, error)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # such as from a scratch folder; a wrong place is reported when it is opened
        if not takes_no_more(error):
            raise
        _say(session, OutputUnavailable(f"cannot write {error.filename or 'a file'}: {reason_of(error)}"))
        return OutputUnavailable.exit_status


def _ended(args: Sequence[str] | None, session: Session) -> int:
    """Run a command, and return its exit status, also if typer ended it by typer.Exit or a usage error."""
    try:
        _command()(args=args, prog_name="nightpress", obj=session)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _say(session: Session, error: NightpressError) -> None:
    message = " ".join(str(error).split())
    if logs.is_json():
        logs.logger().error("command.failed", error=message, status=error.exit_status)
        return
    for line in f"nightpress: {error}".splitlines() if error.has_lines else [f"nightpress: {message}"]:
        session.say(line)
