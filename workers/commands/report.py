"""The report of a run for a person: a progress bar, then a summary of the rows, the cost, the files and what to do next."""

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn

from jobs import logs
from jobs.batches.batch import Batch, Done
from jobs.batches.published import ERRORS, OUTPUT, copy_published, read_usage
from jobs.batches.rounds import read_round
from jobs.catalog import TOYS
from jobs.commands.views.fitting import fitted, width_of
from jobs.logs import logger
from jobs.operations.content.findings import by_code
from jobs.operations.status import describe_memory, describe_verdicts
from jobs.prices import formatted
from jobs.printable import one_line
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.usage import Remembered
from workers.commands.run import GENERATING, RunProgress

LINE_S: Final = 10.0
"""Seconds between two lines or events of progress if standard error is no terminal. A terminal shows a progress bar instead."""

BAR: Final = 20
"""Characters of the bar of a terminal that is wide enough for it."""


class Reporter:
    """Shows the progress of one run on standard error, and its summary on standard output. Use it as a context manager."""

    def __init__(self, store: Store, batch: Batch, settings: Settings, command: str = "nightpress") -> None:
        self._store = store
        self._batch = batch
        self._settings = settings
        self._command = command
        self._error = Console(stderr=True, highlight=False)
        self._console = Console(highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._error,
            disable=not self._error.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._line_at = 0.0
        self._done_rows = 0
        self._rows = batch.rows - batch.refused
        self._first: tuple[float, int, int] | None = None

    def __enter__(self) -> "Reporter":
        if logs.is_json():
            return self
        self._error.print(
            f"batch {self._batch.batch_id}: {_rows(self._batch.rows)}, {self._batch.refused:,} refused", soft_wrap=True
        )
        self._bar.start()
        self._task = self._bar.add_task("starting", total=self._rows)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.stop()

    def show(self, progress: RunProgress) -> None:
        """Update the bar. If standard error is no terminal, print a line of progress every LINE_S seconds instead."""
        rate: Sequence[str] = ()
        if progress.index is not None:
            self._done_rows = sum(progress.index.counts.values()) - self._batch.refused
            rate = self._rate(progress, progress.index.usage.completion_tokens)
        if self._task is not None:
            self._bar.update(self._task, description=self._line(progress, rate), completed=self._done_rows)
        if (logs.is_json() or not self._error.is_terminal) and time.monotonic() - self._line_at >= LINE_S:
            self._line_at = time.monotonic()
            if logs.is_json():
                logger().info(
                    "run.progress", phase=progress.phase, done=self._done_rows, rows=self._rows, rate=", ".join(rate)
                )
                return
            line = f"{progress.phase}: {self._done_rows:,} of {_rows(self._rows)}"
            self._error.print(", ".join([line, *rate]), soft_wrap=True)

    def _line(self, progress: RunProgress, rate: Sequence[str]) -> str:
        """Return the line beside the spinner: as many whole parts as fit the terminal, without the least important ones."""
        filled = BAR * self._done_rows // max(self._rows, 1)
        bar = f"[{'#' * filled}{'.' * (BAR - filled)}]"
        parts = [progress.phase, bar, f"{self._done_rows:,} of {_rows(self._rows)}", *rate]
        parts.append(_for_a_person(progress.elapsed_s))
        for least in (bar, *rate[1:2], parts[-1], *rate[:1], *rate[2:]):
            if width_of("  ".join(parts)) <= self._error.width - 3:
                break
            parts.remove(least)
        return "  ".join(parts)

    def report(self, event: str, message: str) -> None:
        """Print one line above the bar, or log it as the event if the command logs JSON."""
        if logs.is_json():
            logger().warning(event, message=message)
            return
        self._error.print(f"nightpress: {one_line(' '.join(message.split()))}", soft_wrap=True, markup=False)

    def interrupted(self, args: str) -> None:
        """Print how many rows are done and kept, and the command line that resumes the run: this program with `args`."""
        if logs.is_json():
            command = f"{self._command} {args}"
            logger().warning("run.interrupted", done=self._done_rows, rows=self._rows, command=command)
            return
        self._error.print(f"Interrupted. {self._done_rows:,} of {_rows(self._rows)} are done and kept. Go on with:")
        self._error.print(f"  {self._command} {args}", soft_wrap=True)

    def published(self, done: Done, folder: Path, elapsed_s: float | None) -> None:
        """Copy the published files to `folder`, and print the summary. `elapsed_s` is None if the batch was published before."""
        copy_published(self._store, self._batch.batch_id, done, folder)
        usage = read_usage(self._store, done, self._batch.batch_id)
        completed = done.counts.get("completed", 0)
        others = {status: n for status, n in done.counts.items() if status != "completed" and n}
        tokens = int(usage["completion_tokens"])
        currency = str(usage["currency"])
        say = self._console.print
        say()
        if elapsed_s is None:
            say("This batch is published already: nothing was generated.", style="bold")
        not_completed = "".join(f", {n:,} {status}" for status, n in others.items())
        say(
            f"  Rows     {completed:,} completed{not_completed}, of {self._batch.rows:,}",
            style="bold" if not others else "yellow",
        )
        if verdicts := describe_verdicts(done.verdicts):
            say(f"  Verdict  {verdicts}")
        current = read_round(self._store, self._batch)
        if current.stopped_by is not None:
            first, *rest = fitted(current.stop_in_words(self._batch.batch_id), self._console.width - 11)
            say(f"  Budget   {first}", *(f"           {line}" for line in rest), sep="\n", soft_wrap=True)
        say(f"  Tokens   {usage['prompt_tokens']:,} in, {tokens:,} out", end="")
        say(f"  ({tokens / elapsed_s:,.1f} tokens/s over {elapsed_s:,.0f} s)" if elapsed_s else "")
        if "memory" in usage:
            say(f"  Memory   {describe_memory(Remembered.from_dict(usage['memory']))}")
        wasted = usage["wasted"]
        say(
            f"  Cost     {formatted(int(usage['device_cost']) + int(wasted['device_cost']), currency)} of device time, ",
            end="",
        )
        say(f"{formatted(int(usage['charge']), currency)} charged")
        say(f"  Content  {folder / 'output.jsonl'}", soft_wrap=True)
        if others:
            say(f"  Errors   {folder / 'errors.jsonl'}", soft_wrap=True)
        self._findings(folder)
        if toys := sorted(TOYS.intersection(usage["models"])):
            hint = (
                f"  {', '.join(toys)} is a toy for trying the machinery: few of its texts can be published. "
                "Give a larger model with --model (docs/models.md says how to add one)."
            )
            say("", *fitted(hint, self._console.width), sep="\n", soft_wrap=True)
        say("\n  Next: ", end="")
        say(f"{self._command} show {self._batch.batch_id} 0", soft_wrap=True)
        if self._batch.refused:
            say(f"        {self._command} failed export {self._batch.batch_id} -o FILE", soft_wrap=True)
        say(f"        {self._command} usage --by kind", soft_wrap=True)
        if elapsed_s is None:
            say("        the same command with --again makes a new batch")

    def _findings(self, folder: Path) -> None:
        """Print what checks found in the rows of the folder: a line for each check, and its worst example."""
        with (folder / OUTPUT).open("rb") as output, (folder / ERRORS).open("rb") as errors:
            found = by_code(chain(errors, output))
        if not found:
            return
        self._console.print("\n  Findings of the checks, by rows")
        for one in found:
            counts = {"failed": one.failed, "to review": one.review, "noted": one.noted}
            words = ", ".join(f"{rows:,} {name}" for name, rows in counts.items() if rows)
            self._console.print(f"    {one.code}: {words}", markup=False)
            if one.worst is not None:
                example = one_line(f"{one.example}: {one.worst.message}")
                for line in fitted(example, self._console.width, "      "):
                    self._console.print(line, markup=False, soft_wrap=True)

    def _rate(self, progress: RunProgress, tokens: int) -> Sequence[str]:
        """Return rows and tokens a second, and the time that is left, in words; nothing while no row has ended."""
        if self._first is None or not progress.phase.startswith(GENERATING):  # time for loading is not in the rate
            self._first = (progress.elapsed_s, self._done_rows, tokens)
        since, rows, before = self._first
        passed = progress.elapsed_s - since
        if passed < 1.0 or self._done_rows == rows:
            return ()
        rows_s = (self._done_rows - rows) / passed
        left_s = (self._rows - self._done_rows) / rows_s
        return f"{rows_s:,.1f} rows/s", f"{(tokens - before) / passed:,.0f} tok/s", f"{_for_a_person(left_s)} left"


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"


def _for_a_person(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
