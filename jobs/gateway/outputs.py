"""The files that a published round has for OpenAI's clients: its outputs and its errors, as lines of a batch's output file.

Each is made from the published file whenever it is read. A published round never changes, so neither does the file, and a client
may go on where it stopped. The file of an older round stays readable.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import orjson

from jobs.batches.batch import BatchPaths, Count, Done, StoredRecord
from jobs.batches.published import ERRORS, OUTPUT, published_lines
from jobs.batches.records import read_record
from jobs.formats.results import openai_lines
from jobs.gateway.batch_objects import output_id, seconds
from jobs.store.store import Store
from jobs.submissions.files import Files, no_file
from jobs.submissions.journal import Journal
from jobs.submissions.places import tenant_folder
from jobs.submissions.records import Submission, read, to_bytes

_ID: Final = re.compile(r"file-(out|err)-([0-9a-f]{32})-r([1-9][0-9]{0,6})")


class OutputSize(StoredRecord):
    """The size of an output file, kept once it was counted."""

    bytes: Count


@dataclass(frozen=True, slots=True)
class Output:
    """One output file. `is_errors` tells which of the two of its round it is."""

    id: str
    submission: Submission
    batch_id: str
    done: Done
    is_errors: bool

    @property
    def filename(self) -> str:
        """The name by which it is downloaded."""
        return f"batch_{'error' if self.is_errors else 'output'}_{self.submission.id}.jsonl"

    @property
    def expires_at(self) -> datetime | None:
        """When it is no longer offered; None: never."""
        expires_s = self.submission.output_expires_s
        return None if expires_s is None else self.done.at + timedelta(seconds=expires_s)


@dataclass(frozen=True, slots=True)
class Outputs:
    """The output files of one tenant."""

    store: Store
    journal: Journal
    files: Files
    clock: Callable[[], datetime]

    def get(self, file_id: str) -> Output:
        """Return an output file. Raises NoFile if there is none, or if it was deleted or has expired."""
        matched = _ID.fullmatch(file_id)
        submission = None if matched is None else self.journal.find(self.files.tenant, f"batch_{matched[2]}")
        decision = None if submission is None else self.journal.decision(submission)
        if matched is None or submission is None or decision is None or decision.batch_id is None:
            raise no_file(file_id)
        done = read_record(self.store, BatchPaths(decision.batch_id).done(int(matched[3])), Done)
        if done is None or self.files.is_hidden(file_id):
            raise no_file(file_id)
        found = Output(file_id, submission, decision.batch_id, done, matched[1] == "err")
        is_past = found.expires_at is not None and found.expires_at <= self.clock()
        if is_past or not done.files[_name(found)].rows:
            raise no_file(file_id)
        return found

    def of_round(self, submission: Submission, done: Done) -> Iterator[str]:
        """Yield the ids of the files of a published round that are not empty."""
        for name in (OUTPUT, ERRORS):
            if done.files[name].rows:
                yield output_id(submission.id, done.round, errors=name == ERRORS)

    def lines(self, output: Output, skip: int = 0) -> Iterator[bytes]:
        """Yield the lines of a file, but for the first `skip`. Raises StoreDamaged."""
        lines = islice(published_lines(self.store, output.done, output.batch_id, _name(output)), skip, None)
        return openai_lines.lines(map(orjson.loads, lines))

    def pieces(self, output: Output, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a file from `offset` on."""
        for line in self.lines(output):
            if offset < len(line):
                yield line[offset:]
            offset = max(0, offset - len(line))

    def size(self, output: Output) -> int:
        """Return the bytes of a file. They are counted once, and then kept."""
        path = f"{tenant_folder(self.files.tenant)}/sizes/{output.id}.json"
        known = read(self.store, path, OutputSize)
        if known is not None:
            return known.bytes
        size = sum(map(len, self.lines(output)))
        self.store.create(path, to_bytes(OutputSize(bytes=size)))
        return size

    def object(self, output: Output) -> dict[str, Any]:
        """Return the object `file` of OpenAI's API."""
        expires = output.expires_at
        return {
            "id": output.id,
            "object": "file",
            "bytes": self.size(output),
            "created_at": seconds(output.done.at),
            "filename": output.filename,
            "purpose": "batch_output",
            "status": "processed",
            **({} if expires is None else {"expires_at": seconds(expires)}),
        }


def is_output(file_id: str) -> bool:
    """Whether an id is that of an output file."""
    return _ID.fullmatch(file_id) is not None


def _name(output: Output) -> str:
    return ERRORS if output.is_errors else OUTPUT
