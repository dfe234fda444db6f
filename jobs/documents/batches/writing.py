"""Writes the translated documents of a batch from the kept documents and the published rows.

A segment whose row has no text, or whose text cannot stand in the document, stays as it is in the source, and the report names
it. So one bad segment never costs a file. All forms of a plural message, or of a message of ICU, are written together or not at
all: a program would show an empty text for a form that is missing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from jobs.batches.batch import Batch, KeptDocument
from jobs.documents.batches.answers import UNSENT, Answers
from jobs.documents.batches.kept import Reading, copy_source, language_of, outputs, read_list
from jobs.documents.batches.slots import is_one_message, write_slots
from jobs.documents.document import DocumentFormat, Segment, State
from jobs.documents.registry import format_named
from jobs.documents.source import Source
from jobs.store.store import Store

SHOWN: Final = 1_000
"""A report names at most this many segments."""

FORM_MISSING: Final = "form_missing"
"""The code of a form of a message whose other forms have no translation."""

Opened = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file by its relative name, for writing as a whole."""


class Left(NamedTuple):
    """A segment that stays as it is in the source: its document, language, id and line, and the code of the reason."""

    document: str
    language: str
    segment: str
    line: int
    code: str
    message: str = ""

    def __str__(self) -> str:
        line = f"line {self.line}, " if self.line else ""
        return f"{self.document} [{self.language}] {line}segment {self.segment}: {self.message or self.code}"


@dataclass
class Written:
    """A file that was written: its name, and how many of its segments are translated, stay as they are, or were not sent."""

    name: str
    translated: int = 0
    left: int = 0
    unsent: int = 0


@dataclass
class Report:
    """What was written, and what stays as in the source. `unread` are the documents that intake could not read."""

    files: list[Written] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    unread: Sequence[KeptDocument] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every segment that was sent is translated, and every document was read."""
        return not self.codes and not self.unread

    def add(self, left: Left, file: Written) -> None:
        """Note a segment that stays. One that was never sent is counted alone."""
        if left.code == UNSENT:
            file.unsent += 1
            return
        file.left += 1
        self.codes[left.code] += 1
        if len(self.left) < SHOWN:
            self.left.append(left)


def write_documents(store: Store, batch: Batch, answers: Answers, opened: Opened, scratch: Path) -> Report:
    """Write all translated documents of a batch, each as a whole.

    Args:
        store: The store of the batch.
        batch: A batch of documents.
        answers: The published rows.
        opened: Opens a file to write.
        scratch: A local folder; it holds one document at a time.

    Raises:
        StoreDamaged: A kept document is not what intake wrote.
        StoreUnavailable: The store failed, or a file cannot be written.
    """
    documents = read_list(store, batch)
    report = Report(unread=[one for one in documents if one.fault is not None])
    for number, document in enumerate(documents):
        if document.fault is not None or batch.documents is None:
            continue
        form = format_named(document.form)
        path = scratch / "document"
        with path.open("wb") as target:
            copy_source(store, batch.batch_id, number, document, target)
        for name, reading in outputs(document, form, batch.documents.source_language, batch.documents.columns):
            with path.open("rb") as source, opened(name) as target:
                writing = _Writing(document, reading, answers, report, Written(name), batch.documents.with_done)
                writing.write(form, source, target)
        path.unlink()
    return report


@dataclass
class _Writing:
    """One file as it is written."""

    document: KeptDocument
    reading: Reading
    answers: Answers
    report: Report
    file: Written
    with_done: bool

    def write(self, form: DocumentFormat, source: BinaryIO, target: BinaryIO) -> None:
        self.report.files.append(self.file)
        opened = Source(source, self.document.name, self.reading[1])
        self.file.translated = write_slots(form, opened, self.texts, self._leave, target)

    def texts(self, segments: Sequence[Segment], line: int) -> Sequence[str | None]:
        """Return the texts of the segments of a slot, and note those that have none."""
        found: list[str | None] = []
        for segment in segments:
            if segment.state is State.DONE and not self.with_done:
                found.append(None)
                continue
            text, code = self.answers.answer(segment, language_of(segment, self.reading), self.document.name)
            if text is None:
                self._leave(segment, line, code)
            found.append(text)
        if is_one_message(segments) and _lacks(segments, found):
            for segment, text in zip(segments, found, strict=True):
                if text is not None:
                    self._leave(segment, line, FORM_MISSING, "another form of the message has no translation")
            return [None] * len(found)
        return found

    def _leave(self, segment: Segment, line: int, code: str, message: str = "") -> None:
        language = language_of(segment, self.reading)
        self.report.add(Left(self.document.name, language, segment.id, line, code, message), self.file)


def _lacks(segments: Sequence[Segment], texts: Iterable[str | None]) -> bool:
    """Whether a form has neither a new translation nor one in the document."""
    pairs = list(zip(segments, texts, strict=True))
    return any(text is None and not one.target for one, text in pairs) and any(text is not None for _, text in pairs)
