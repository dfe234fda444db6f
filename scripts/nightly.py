"""Runs the nightly work: every file of an inbox is published by the morning. It is made for cron or a systemd timer.

    python scripts/nightly.py inbox --until 07:30 --out published

Each `*.jsonl` file of the inbox becomes a batch whose deadline is the given time, and a fleet works until all batches are
published. Rows that are not done by then are published as expired; `nightpress failed retry BATCH` runs those rows a second time.
With `--publish-at 06:00`, the rows that are done at six are published at six, and the other rows are published later. The outputs
are copied to `<out>/<date>/<file>/`, and the inputs are moved to `<inbox>/done/<date>/`. If a night was interrupted, start the
script again: the date is part of the run key, so the night continues where it stopped. If another night is working on the inbox,
the script ends at once.

Exit status: 0 if every row completed; 1 if a row did not; 2 if a file was refused; 3 if something that the night needs, such as
the storage, is not there, or if another night is working on the inbox; 130 if the night was interrupted.
"""

import argparse
import fcntl
import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from jobs import logs, settings
from jobs.batches.batch import Batch
from jobs.batches.published import copy_published
from jobs.batches.rounds import read_round
from jobs.errors import NightpressError, RequestError, UnavailableError
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.intake.column_options import columns_of
from jobs.store.opening import open_store
from jobs.store.store import Store
from jobs.typed_times import parse
from workers.commands.interrupts import on_interrupt
from workers.commands.work import Work


def main() -> int:
    """Run one night. Returns the exit status."""
    args = _arguments()
    with (args.inbox / ".nightly.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another night is working on {args.inbox}", file=sys.stderr)
            return 3
        try:
            return _night(args)
        except NightpressError as error:
            print(f"nightly: {error}", file=sys.stderr)
            return error.exit_status


def _night(args: argparse.Namespace) -> int:
    chosen = settings.load()
    logs.configure(chosen.log_level, chosen.log_format)
    store = open_store(chosen.store_url, chosen.store_options)
    until = _next(args.until, datetime.now().astimezone())
    night = until.date().isoformat()
    early = replace(_early(args, until), columns=columns_of(args.map, args.extra))
    batches: dict[Path, Batch] = {}
    refused = 0
    for file in sorted(args.inbox.glob("*.jsonl")):
        options = replace(early, kind=args.kind, model=args.model, deadline=until.astimezone(UTC))
        if args.publish_at is not None:
            options = replace(options, output_url=f"{(args.out / night / file.stem).absolute()}/", output_form="jsonl")
        try:
            batches[file] = accept_file(store, file, options, chosen, f"nightly:{night}").batch
        except RequestError as error:  # such as AllRefused: this file stays in the inbox; the others are processed
            print(f"nightly: {file.name}: {error}", file=sys.stderr)
            refused += 1
    work = Work(chosen, workers=args.workers, until_empty=True)
    interrupted: list[int] = []

    def interrupt(number: int) -> None:
        interrupted.append(number)
        work.interrupt()

    with on_interrupt(interrupt):
        if any(read_round(store, batch).published is None for batch in batches.values()):
            work.run()
    if interrupted:
        return 130
    complete = [_deliver(store, file, batch, args, night) for file, batch in batches.items()]
    return 2 if refused else int(not all(complete))


def _early(args: argparse.Namespace, until: datetime) -> IntakeOptions:
    """Return the intake options for `--publish-at`, which publishes finished rows early. Without `--publish-at` they are empty.

    `publish_at_typed` is set even if the time is too late, because the batch's id is made from the time as it was typed.
    """
    if args.publish_at is None:
        return IntakeOptions()
    now = datetime.now(UTC)
    at = parse(args.publish_at, now)
    if at >= until:
        print(
            f"nightly: --publish-at {args.publish_at} is past, or not before {until:%H:%M}: everything is published at once",
            file=sys.stderr,
        )
    return IntakeOptions(publish_at=at if at < until else None, publish_at_typed=args.publish_at)


def _deliver(store: Store, file: Path, batch: Batch, args: argparse.Namespace, night: str) -> bool:
    """Copy the published files to the output folder, and move the input out of the inbox. Returns whether every row completed.

    Raises UnavailableError if the batch is not published.
    """
    done = read_round(store, batch).published
    if done is None:
        raise UnavailableError(f"{batch.batch_id} is not published: see `nightpress status {batch.batch_id}`")
    copy_published(store, batch.batch_id, done, args.out / night / file.stem)
    moved = args.inbox / "done" / night / file.name
    moved.parent.mkdir(parents=True, exist_ok=True)
    file.replace(moved)
    completed = done.counts.get("completed", 0)
    print(f"{file.name}: {completed} of {batch.rows} rows in {args.out / night / file.stem}")
    return completed == batch.rows


def _next(at: time, now: datetime) -> datetime:
    """Return the first moment after `now` at which the clock shows `at`."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publish every file of an inbox by the morning.")
    parser.add_argument("inbox", type=Path, help="a folder of *.jsonl files")
    parser.add_argument("--until", type=time.fromisoformat, default=time(7, 30), help="local time, such as 07:30")
    parser.add_argument(
        "--publish-at", metavar="WHEN", help="publish what is ready then, such as 06:00; the rest follows"
    )
    parser.add_argument("--out", type=Path, default=Path("published"), help="where the outputs go")
    parser.add_argument("--kind", help="the kind of rows that name none")
    parser.add_argument("--model", help="the model of rows that name none")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="the key that a field is taken from; or @FILE",
    )
    parser.add_argument(
        "--extra", action="append", default=[], help="other keys to keep in the metadata, or metadata for all, or none"
    )
    parser.add_argument("--workers", type=int, help="workers for each model")
    args = parser.parse_args()
    if not args.inbox.is_dir():
        parser.error(f"{args.inbox} is not a folder")
    return args


if __name__ == "__main__":
    sys.exit(main())
