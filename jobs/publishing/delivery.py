"""Delivery writes the outputs of a published round to the batch's output URL (rule 38 of jobs/PROTOCOL.md).

A batch that was enqueued with an output URL owes its outputs from its first published round on. A process that has written a
round to the URL creates `delivered-<round>.json`, so that no other process writes the round again. A delivery that fails is tried
again, and publishing never waits for a delivery.

A later round replaces the earlier round at the URL. If a process finds after its write that a newer round is published, it writes
the newer round too. It does so even if another process has delivered the newer round, since the older write may have ended last.

Under a URL that ends in `/`, delivery writes `output.<suffix>`, `errors.jsonl`, `usage.json`, and last `manifest.json`, with
the sha256 and the bytes of each of the others. If all files are as the manifest says, a reader has them whole, and all of one
round. At any other URL, delivery writes one file: the outputs.

In the form `document`, the translated documents take the place of `output.<suffix>`. `untranslated` in the manifest counts the
segments of each file that stay as they are in the source.
"""

import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import orjson

from jobs.batches.batch import FORMAT, Batch, BatchPaths, Delivered, Done
from jobs.batches.published import ERRORS, OUTPUT, USAGE, published_lines, read_published
from jobs.batches.rounds import Clock, create_marker, is_open, latest_done, load_batch, now, read_round_or_deletion
from jobs.errors import NightpressError, NoBatch, RequestError, StoreDamaged, StoreUnavailable
from jobs.formats.results.form import ResultForm
from jobs.formats.results.writing import SUFFIXES, write_results
from jobs.kinds.kind import Kind
from jobs.logs import logger
from jobs.store.damage import Damage, collect_damage
from jobs.store.destinations import file_in, write_destination
from jobs.store.store import Store
from jobs.urls import absolute, holds_secret, local_path, redacted

if TYPE_CHECKING:
    from jobs.formats.results.tables import Column

MANIFEST: Final = "manifest.json"
"""The name of the file that describes the others at an output URL."""

RETRY_S: Final = 30.0
"""Seconds from a delivery that failed to the next try of the same batch."""


def check_output_url(url: str, form: ResultForm) -> str:
    """Return an output URL as it is stored: a local path becomes absolute.

    Raises RequestError if outputs in this form cannot be written to the URL.
    """
    if form is ResultForm.DOCUMENT and not url.endswith("/"):
        raise RequestError(f"--output-url {redacted(url)}: documents go into a folder: end it with /")
    if form not in SUFFIXES and form is not ResultForm.DOCUMENT:
        raise RequestError(
            f"--output-format {form}: an output URL takes {', '.join([*SUFFIXES, ResultForm.DOCUMENT])}; for {form}, use results"
        )
    if not url.strip():
        raise RequestError("--output-url is empty: give it a path or a URL")
    path = local_path(url)
    if path is None:
        from jobs.store.file_systems import UNWRITABLE, is_writable

        if not is_writable(url):
            raise RequestError(f"--output-url {redacted(url)}: {UNWRITABLE}")
    if holds_secret(url):
        raise RequestError(
            "--output-url holds a password or a key, and would be stored with the batch: leave it out of the URL, and give it to "
            "whoever delivers, in store_options (NIGHTPRESS_STORE_OPTIONS__SECRET=...) or in the file system's own environment, "
            "such as AWS_SECRET_ACCESS_KEY"
        )
    if path is None:
        return url
    try:
        return str(absolute(path)) + ("/" if url.endswith("/") else "")
    except ValueError as error:
        raise RequestError(f"--output-url: {error}") from None


def is_delivered(store: Store, batch: Batch, done: Done) -> bool:
    """Whether the outputs of a published round are at the output URL. True for a batch without an output URL."""
    return batch.output_url is None or store.exists(BatchPaths(batch.batch_id).delivered(done.round))


def undelivered_url(store: Store, batch_id: str) -> str | None:
    """Return the batch's output URL, redacted, if the latest published outputs are not at this URL yet; otherwise None."""
    batch = load_batch(store, batch_id)
    if batch is None or batch.output_url is None:
        return None
    try:
        current, is_deleted = read_round_or_deletion(store, batch)
    except NoBatch:  # it was deleted meanwhile
        return None
    if is_deleted or current.latest is None or is_delivered(store, batch, current.latest):
        return None
    return redacted(batch.output_url)


@dataclass
class Deliverer:
    """Delivers the outputs that the batches of one store owe. `deliver` may be called at any time, by one thread.

    `options_for` returns the options of the file system for a URL. `owed` is the number of batches that owed outputs after the
    last call of `deliver`; None before the first.
    """

    store: Store
    options_for: Callable[[str], Mapping[str, str]]
    kinds: Mapping[str, Kind]
    clock: Clock = now
    monotonic: Callable[[], float] = time.monotonic
    owed: int | None = None
    _again_at: dict[str, float] = field(default_factory=dict)
    _overwritten: set[str] = field(default_factory=set)
    _damage: Damage = field(init=False)

    def __post_init__(self) -> None:
        self._damage = Damage(self.monotonic)

    def deliver(self) -> None:
        """Try each delivery that is owed and due. A delivery that fails is logged, and tried again after RETRY_S.

        Raises StoreUnavailable. If a batch is damaged, StoreDamaged is raised after all other batches were tried.
        """
        faults: list[StoreDamaged] = []
        owing = sorted({*self.store.list("undelivered"), *self._overwritten})
        owed = len(owing)
        for batch_id in owing:
            if self.monotonic() < self._again_at.get(batch_id, float("-inf")):
                continue
            with collect_damage(faults):
                owed -= self.deliver_batch(batch_id)
        self.owed = owed
        if faults:
            raise faults[0]

    def deliver_batch(self, batch_id: str) -> bool:
        """Try the delivery that one batch owes, even if it is not due. A deleted batch owes nothing.

        Returns whether the batch owes nothing any more. Raises StoreUnavailable.
        """
        batch = load_batch(self.store, batch_id)
        try:
            owes_nothing = batch is None or self._delivered(batch)
        except NoBatch:  # it was deleted meanwhile
            owes_nothing = True
        if owes_nothing:
            self._overwritten.discard(batch_id)
            self.store.discard(BatchPaths(batch_id).undelivered)
        return owes_nothing

    def _delivered(self, batch: Batch) -> bool:
        """Deliver the newest published round if it is not at the URL.

        Returns True if the batch owes no delivery: the newest published round is at the URL, and the batch is not open.
        """
        while (done := latest_done(self.store, batch.batch_id)) is not None:
            if batch.batch_id not in self._overwritten and is_delivered(self.store, batch, done):
                return not is_open(self.store, batch.batch_id)
            is_written = self._try(batch, done)
            newest = latest_done(self.store, batch.batch_id)
            if newest is not None and newest.round > done.round:
                # The newest round must be written last. Even a failed write may have left a part of the older round at the URL.
                self._overwritten.add(batch.batch_id)
            elif is_written:
                self._mark(batch, done)
            if not is_written:
                return False
        return False

    def _try(self, batch: Batch, done: Done) -> bool:
        """Write the outputs, or log why they could not be written. Returns whether they were written."""
        try:
            with self._damage.look(batch.batch_id):
                self._write(batch, done)
        except NoBatch:
            raise
        except NightpressError as error:
            self._again_at[batch.batch_id] = self.monotonic() + RETRY_S
            logger().warning("batch.undelivered", batch=batch.batch_id, round=done.round, error=str(error))
            return False
        return True

    def _mark(self, batch: Batch, done: Done) -> None:
        marker = Delivered(round=done.round, url=redacted(str(batch.output_url)), at=self.clock())
        create_marker(self.store, batch, BatchPaths(batch.batch_id).delivered(done.round), marker)
        self._overwritten.discard(batch.batch_id)
        logger().info("batch.delivered", batch=batch.batch_id, round=done.round, url=redacted(str(batch.output_url)))

    def _write(self, batch: Batch, done: Done) -> None:
        url, form = str(batch.output_url), ResultForm(batch.output_form)
        if form is ResultForm.DOCUMENT:
            self._write_documents(url, batch, done)
            return
        lines = published_lines(self.store, done, batch.batch_id, OUTPUT)
        if not url.endswith("/"):
            with self._opened(url) as target:
                write_results(lines, form, lambda: self._columns(batch), target)
            return
        files: dict[str, _Hashed] = {}
        name = f"output.{SUFFIXES[form]}"
        with self._opened(file_in(url, name)) as target:
            files[name] = hashed = _Hashed(target)
            write_results(lines, form, lambda: self._columns(batch), cast("BinaryIO", hashed))
        self._write_rest(url, batch, done, files)

    def _columns(self, batch: Batch) -> "Sequence[Column]":
        from jobs.formats.results.tables import columns

        return columns(batch.kinds, self.kinds, batch.extra_columns)

    def _write_documents(self, url: str, batch: Batch, done: Done) -> None:
        """Write the translated documents of a batch, and the other files beside them."""
        # Here, because `nightpress status` imports this module, and must not wait for all formats of documents.
        from jobs.documents.batches.answers import Answers
        from jobs.documents.batches.writing import write_documents

        files: dict[str, _Hashed] = {}

        @contextmanager
        def opened(name: str) -> Iterator[BinaryIO]:
            with self._opened(file_in(url, name)) as target:
                files[name] = hashed = _Hashed(target)
                yield cast("BinaryIO", hashed)

        with (
            self._scratch_failures(),
            tempfile.TemporaryDirectory(prefix="nightpress-") as scratch,
            closing(Answers(Path(scratch, "answers.sqlite"))) as answers,
        ):
            for name in (OUTPUT, ERRORS):
                answers.fill(read_published(self.store, done, batch.batch_id, name))
            report = write_documents(self.store, batch, answers, opened, Path(scratch))
        untranslated = {file.name: file.left for file in report.files if file.left}
        self._write_rest(url, batch, done, files, untranslated=untranslated)

    def _write_rest(
        self, url: str, batch: Batch, done: Done, files: dict[str, "_Hashed"], **more: Mapping[str, int]
    ) -> None:
        """Write the rows that did not complete, the usage, and last the manifest, which also gets `more`."""
        for name in (ERRORS, USAGE):
            with self._opened(file_in(url, name)) as target:
                files[name] = _Hashed(target)
                files[name].writelines(published_lines(self.store, done, batch.batch_id, name))
        with self._opened(file_in(url, MANIFEST)) as target:
            target.write(_manifest(batch, done, files, more))

    @contextmanager
    def _scratch_failures(self) -> Iterator[None]:
        """Turn a failure of the local disk into StoreUnavailable."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"cannot keep the rows under {tempfile.gettempdir()}: {error}") from error

    @contextmanager
    def _opened(self, place: str) -> Iterator[BinaryIO]:
        try:
            with write_destination(place, self.options_for(place), with_folders=True) as target:
                yield target
        except OSError as error:
            raise StoreUnavailable(f"cannot write {redacted(place)}: {error.strerror or error}") from error


class _Hashed:
    """A file that is being written. It counts its bytes and computes their sha256."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Write bytes. Returns their number."""
        self._digest.update(data)
        self.bytes += len(data)
        return self._target.write(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Write lines that already have their line ends."""
        for line in lines:
            self.write(line)

    @property
    def sha256(self) -> str:
        """The sha256 of all bytes that were written, in hex."""
        return self._digest.hexdigest()


def _manifest(batch: Batch, done: Done, files: Mapping[str, _Hashed], more: Mapping[str, object]) -> bytes:
    """Return the content of `manifest.json`, with further members."""
    values = {
        "format": FORMAT,
        "batch_id": batch.batch_id,
        "round": done.round,
        "published_at": done.at,
        "counts": done.counts,
        "files": {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in files.items()},
        **more,
    }
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
