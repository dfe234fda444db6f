"""A night: every file of an inbox becomes a batch, and a fleet works until all of them are published. It is made for cron.

No file's fault touches another file. A file that cannot be accepted or delivered stays in the inbox and is named with the reason,
and all other files are processed. If a night was interrupted, the same command continues it: the date is part of the run key.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, cast

from jobs.batches.batch import Batch
from jobs.batches.published import copy_published
from jobs.batches.rounds import now, read_round
from jobs.commands.views.documents import lines as document_lines
from jobs.commands.views.remarks import remark_lines
from jobs.errors import NightpressError, RequestError, UnavailableError
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.source import open_source, source_name
from jobs.intake.accept import Accepted, IntakeOptions, accept
from jobs.intake.documents.opening import Input, document_input
from jobs.intake.documents.staged import KIND as TRANSLATION
from jobs.kinds.kind import Kind
from jobs.kinds.registry import load_kinds
from jobs.operations.content.translated import write_translations
from jobs.operations.status import describe_verdicts
from jobs.prices import Money
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.tenants import RowsMaySet
from jobs.typed_times import parse

LOCK_NAME: Final = ".nightly.lock"
UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".swp", "~")
"""Ends of the names that programs give to unfinished files."""

_FAULTS: Final = (NightpressError, OSError, MemoryError, RecursionError)
"""The errors that concern one file alone. Any other error is a fault of the program, and ends the night."""


@dataclass(frozen=True, slots=True)
class NightOptions:
    """The options of a night. Rows that name no kind or model get `kind` and `model`, and `set` has fields for rows that lack
    them, each as FIELD=VALUE. `columns` says which column becomes which field. The rows are billed to `tenant`, or to the setting
    `tenant`. `rows_may_set` names the fields that a row may set itself; if it is None, the setting of that name holds. `budget`
    is what the rows of each file may be charged.
    """

    inbox: Path
    out: Path
    until: str
    publish_at: str | None = None
    kind: str | None = None
    model: str | None = None
    set: tuple[str, ...] = ()
    columns: Columns = NO_CHOICE
    tenant: str | None = None
    rows_may_set: RowsMaySet | None = None
    budget: Money | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """A file of the inbox that was accepted. If the file's stamp is no longer `stamp`, the file was changed after it was read."""

    file: Path
    stamp: tuple[int, ...]
    batch: Batch
    folder: Path


class Night:
    """The files of one night.

    Args:
        store: The storage.
        settings: The settings.
        options: The options of the night.
        say: Writes a message for people.
        write: Writes a line of the result.

    Raises RequestError if a time is wrong, or if the inbox is not a folder.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        options: NightOptions,
        say: Callable[[str], None],
        write: Callable[[str], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._options = options
        self._say = say
        self._write = write
        self._taken: list[_Taken] = []
        self.status = 0
        """The exit status so far: 1 if a row did not complete, 2 if a file was refused, 3 if something was missing."""
        if not options.inbox.is_dir():
            raise RequestError(f"{options.inbox} is not a folder")
        moment = now()
        self._until = parse(options.until, moment)
        self._date = self._until.astimezone().date().isoformat()
        self._intake = self._intake_options(moment)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the inbox. Raises UnavailableError if another night holds the lock, or if the lock cannot be made."""
        inbox = self._options.inbox
        try:
            lock = (inbox / LOCK_NAME).open("a")
        except OSError as error:
            raise UnavailableError(f"cannot write into {inbox}: {error.strerror or error}: check its rights") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnavailableError(f"another night is working on {inbox}") from None
            yield

    def accept(self) -> None:
        """Make a batch of each file of the inbox. Hidden files and folders are passed over."""
        kinds = load_kinds(self._settings.templates_dir)
        for file in self._files():
            with self._apart(file):
                if file.is_dir():
                    continue
                stamp = _checked(file)
                folder = self._options.out / self._date / self._free_name(file)
                options = replace(self._intake, name=source_name(file))
                accepted = self._accepted(file, stamp, folder, options, kinds)
                self._taken.append(_Taken(file, stamp, accepted.batch, folder))
                for line in remark_lines(accepted.remarks):
                    self._say(f"nightly: {_shown(file.name)}: {line}")

    def _accepted(
        self, file: Path, stamp: tuple[int, ...], folder: Path, options: IntakeOptions, kinds: Mapping[str, Kind]
    ) -> Accepted:
        """Make the batch of a file. A document is copied first, since its format reads it several times."""
        translates = options.kind == TRANSLATION or any(one.startswith("target_language=") for one in options.set)
        is_document = translates and document_input([str(file)], options) is not None
        if options.publish_at_typed is not None:
            form = "document" if is_document else "jsonl"
            options = replace(options, output_url=f"{folder.absolute()}/", output_form=form)

        def made(lines: Input) -> Accepted:
            key = f"nightly:{self._date}"
            return accept(self._store, lines, options, kinds=kinds, settings=self._settings, run_key=key)

        if not is_document:
            with open_source(file, {}) as opened:
                return made(cast("BinaryIO", _WholeFile(file, opened, stamp)))
        with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch:
            copy = Path(scratch, file.name)
            shutil.copyfile(file, copy)
            if _stamp(file.stat()) != stamp:
                raise _changed(str(file))
            if (documents := document_input([str(copy)], options)) is None:
                raise _changed(str(file))
            return made(documents)

    def _files(self) -> list[Path]:
        inbox = self._options.inbox
        try:
            return sorted(file for file in inbox.iterdir() if not file.name.startswith("."))
        except OSError as error:
            raise UnavailableError(f"cannot read {inbox}: {error.strerror or error}: check its rights") from None

    @property
    def has_work(self) -> bool:
        """Whether a batch of this night is not published."""
        return any(read_round(self._store, taken.batch).published is None for taken in self._taken)

    def deliver(self) -> None:
        """Copy the published files to the output folder, and move the inputs out of the inbox."""
        for taken in self._taken:
            with self._apart(taken.file):
                self._deliver(taken)

    @contextmanager
    def _apart(self, file: Path) -> Iterator[None]:
        """If one of `_FAULTS` is raised in the block, report it with the name of the file, and go on after the block."""
        try:
            yield
        except _FAULTS as error:
            reason = str(error) or type(error).__name__
            named = "" if file.name in reason else f"{_shown(file.name)}: "
            with suppress(OSError):  # a message that nobody can read must not end the night
                self._say(f"nightly: {named}{' '.join(reason.split())}")
            self.status = max(self.status, error.exit_status if isinstance(error, NightpressError) else 2)

    def _deliver(self, taken: _Taken) -> None:
        current = read_round(self._store, taken.batch)
        done = current.published
        if done is None:
            batch = taken.batch.batch_id
            raise UnavailableError(f"{batch} is not published: see `nightpress status {batch}`")
        copy_published(self._store, taken.batch.batch_id, done, taken.folder)
        if taken.batch.documents is not None:
            self._write_documents(taken)
        completed, verdicts = done.counts.get("completed", 0), describe_verdicts(done.verdicts)
        rows = f"{completed} of {taken.batch.rows} rows{f' ({verdicts})' if verdicts else ''}"
        if not done.is_kept(taken.batch.rows, accept_review=self._settings.accept_review):
            self.status = max(self.status, 1)
        try:
            self._move(taken)
        finally:  # the input is moved first, so that it is not taken again although nobody reads the line
            self._write(f"{_shown(taken.file.name)}: {rows} in {taken.folder}")
            if current.stopped_by is not None:
                self._say(f"nightly: {_shown(taken.file.name)}: {current.stop_in_words(taken.batch.batch_id)}")

    def _write_documents(self, taken: _Taken) -> None:
        """Write the translated documents of a batch beside its rows, and say how many texts each has."""
        report = write_translations(self._store, taken.batch.batch_id, str(taken.folder), self._settings.options_for)
        if not report.is_whole:
            self.status = max(self.status, 1)
        for line in document_lines(report, str(taken.folder)):
            self._say(line)

    def _move(self, taken: _Taken) -> None:
        """Move an input out of the inbox. Raises RequestError if it has changed."""
        if _stamp(taken.file.stat()) != taken.stamp:
            raise RequestError(f"{taken.file} has changed since it was read: it stays, and the next night takes it")
        moved = self._options.inbox / "done" / self._date / taken.folder.name
        moved.parent.mkdir(parents=True, exist_ok=True)
        taken.file.replace(moved)

    def _free_name(self, file: Path) -> str:
        """Return a name for the outputs of a file and for its input in `done`. If an earlier file has the name, another name is
        returned.
        """
        done = self._options.inbox / "done" / self._date
        name, n = _shown(file.name), 1
        while (done / name).exists():
            n += 1
            name = f"{_shown(file.stem)}-{n}{_shown(file.suffix)}"
        return name

    def _intake_options(self, moment: datetime) -> IntakeOptions:
        """Return the options of all batches. The times go into the batches' ids as they were typed."""
        options = self._options
        given = IntakeOptions(
            kind=options.kind,
            model=options.model,
            set=options.set,
            deadline=self._until,
            deadline_typed=options.until,
            columns=options.columns,
            tenant=options.tenant,
            rows_may_set=options.rows_may_set,
            budget=options.budget,
        )
        if options.publish_at is None:
            return given
        at = parse(options.publish_at, moment)
        if at >= self._until:
            self._say(
                f"nightly: --publish-at {options.publish_at} is past, or not before {options.until}: "
                "everything is published at once"
            )
        return replace(given, publish_at=at if at < self._until else None, publish_at_typed=options.publish_at)


class _WholeFile:
    """An open file of the inbox. Reading its end raises an error if the file was changed meanwhile, because its program was
    still writing it.
    """

    def __init__(self, path: Path, file: BinaryIO, stamp: tuple[int, ...]) -> None:
        self.name = str(path)
        self._file = file
        self._stamp = stamp

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        if not piece and _stamp(os.fstat(self._file.fileno())) != self._stamp:
            raise _changed(self.name)
        return piece


def _changed(name: str) -> RequestError:
    return RequestError(
        f"{name} was changed while it was read: move a file here when it is complete; nothing was accepted"
    )


def _checked(file: Path) -> tuple[int, ...]:
    """Return the stamp of a file. Raises RequestError if the night cannot take this file."""
    if not file.is_file():
        raise RequestError(f"{file} is not a file, or it is a link to nothing")
    if file.name.lower().endswith(UNFINISHED):
        raise RequestError(f"{file} looks half-written by its name: move it here when it is complete")
    return _stamp(file.stat())


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _shown(name: str) -> str:
    """Return the name of a file as valid UTF-8."""
    return name.encode(errors="replace").decode()
