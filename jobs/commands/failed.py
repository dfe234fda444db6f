"""`failed` lists the rows that did not complete, runs them again, or writes the rows that intake refused as a file to correct."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobs.commands.options import shell_completion as completion
from jobs.commands.session import BATCH, ROW, Session
from jobs.errors import RequestError
from jobs.printable import one_line

NAMES = {"jsonl": "JSON Lines", "csv": "CSV", "openai": "OpenAI batch lines", "parquet": "Parquet"}
"""Format of an input -> its name in messages."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    failed = typer.Typer(help="List rows that did not complete; run or correct them.", no_args_is_help=True)
    failed.command("list", epilog="Example: nightpress failed list night-5f2c81")(list_failed)
    failed.command("retry", epilog="Example: nightpress failed retry night-5f2c81 --row 7 --row 12")(retry)
    failed.command("export", epilog="Example: nightpress failed export night-5f2c81 -o fix.csv")(export)
    app.add_typer(failed, name="failed")


def list_failed(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """List the rows that did not complete.

    Each row is shown with its code and message. For an unfinished batch: the rows that have failed so far.
    """
    from jobs.commands.results import say_if_reopened

    session: Session = ctx.obj
    batch_id = session.batch(batch).batch_id
    rows = session.client.results(batch_id, errors=True)
    if rows.round is None:
        session.say(f"{batch_id} is not finished: these have failed so far")
    say_if_reopened(session, rows)
    count = 0
    for row in rows:
        count += 1
        if as_json:
            session.write_json(row)
            continue
        error = row["error"]
        named = f" ({one_line(str(row['custom_id']))})" if row.get("custom_id") is not None else ""
        place = "".join(f", {name} {error[name]}" for name in ("line", "field") if error.get(name) is not None)
        session.write(f"row {row['row']}{named}{place}: {error['code']}: {error['message']}")
    if not count:
        session.say(f"{batch_id}: no row has failed")


def retry(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    row: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW", help=f"A row to run again, even if it completed. {ROW} Default: all that did not."),
    ] = None,
    reopen_same: Annotated[
        bool, typer.Option("--reopen-same", help="Also write anew texts that repeat others; one of each cluster stays.")
    ] = False,
    deadline: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When unfinished rows expire: 06:00, +8h, a date.")
    ] = None,
) -> None:
    """Run the rows that did not complete again.

    Opens a further round of a published batch. All other rows are kept, and not billed again. Rows that intake refused cannot be
    run: failed export gives them as a file to correct. With --reopen-same, rows whose texts repeat others run too, told what
    not to repeat; a row that fails then keeps its text.
    """
    from jobs.commands.views.batch import rows_in_words
    from jobs.operations.corrections import advice

    session: Session = ctx.obj
    found = session.batch(batch)
    if reopen_same and row:
        raise RequestError("--row and --reopen-same each say which completed rows to run: give one of them")
    rows = [session.row(found.batch_id, name) for name in row or ()]
    if reopen_same:
        opened = session.client.renew_same(found.batch_id, deadline=deadline)
        number = opened.round
        session.say(f"{rows_in_words(opened.rows)} that repeat others will be written anew")
        if opened.left_out:
            session.say(
                f"  {opened.left_out:,} more repeat others, and their clusters are not named: raise most_clusters and most_ids "
                "under [checks.audit] before the next round, or reopen that round too"
            )
    else:
        number = session.client.retry(found.batch_id, rows=rows, deadline=deadline)
    session.say(f"{found.batch_id}: round {number} is open; nightpress work runs it")
    if found.refused:
        session.say(
            f"  {found.refused:,} of its rows were refused by intake, and are not run: {advice(found.batch_id)}"
        )


def export(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help=BATCH, autocompletion=completion.batches)],
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PLACE", help="A file or folder, or its URL.")
    ] = None,
) -> None:
    """Write the rows that intake refused as a file to correct.

    The file has the format of the input, and beside each row the reason (nightpress_error), which intake ignores. Once it is
    corrected, the file can be enqueued. The text of a row that could not be read is in nightpress_raw: move its values to their
    fields, and empty nightpress_raw.
    """
    from jobs.commands.results import opened
    from jobs.store.destinations import file_in, is_folder

    session: Session = ctx.obj
    found = session.client.corrections(session.batch(batch).batch_id)
    if output in (None, "-"):
        if found.form == "parquet" or sys.stdout.isatty():  # raw rows may hold control characters
            raise RequestError(f"name a file for the {NAMES[found.form]} with -o")
        sys.stdout.flush()
        found.write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    into = is_folder(output)
    target = file_in(output, f"refused.{found.suffix}") if into else output
    with opened(session, target, with_folders=into) as file:
        found.write(file)
    session.say(f"{found.count:,} row{'s' * (found.count != 1)} as {NAMES[found.form]}. Correct them, then:")
    session.say(f"  {found.command(target)}")
