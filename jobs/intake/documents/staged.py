"""Documents as an input: they are copied to local disk and read once, then each segment becomes a record.

A document that cannot be read becomes one record, which is refused, and harms no other document.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.batches.batch import DocumentSet, KeptDocument
from jobs.documents.batches.kept import Reading, language_of, list_bytes, outputs, pieces, readings
from jobs.documents.batches.keys import KEY, MOST_CHARACTERS, custom_id_of, key_of
from jobs.documents.batches.names import said_language
from jobs.documents.document import DocumentFormat, Segment, Slot, State
from jobs.documents.source import Source
from jobs.errors import DocumentError, RequestError
from jobs.formats.json_lines import Finding
from jobs.formats.record import Record
from jobs.formats.source import InputLimits, open_source
from jobs.intake.documents.finding import FoundDocument
from jobs.intake.names import NAMES_IN_MEMORY, Names
from jobs.kinds.translating.request import MOST_OF_CONTEXT
from jobs.settings import Settings

KIND: Final = "translation"
"""The kind of the rows of documents."""

RESERVED: Final = frozenset({"manifest.json", "errors.jsonl", "usage.json"})
"""Names of files that stand beside translated documents at an output URL."""

_PACKED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


@dataclass(frozen=True, slots=True)
class DocumentInput:
    """Documents to translate, as an input of intake.

    `with_done` tells whether segments are sent that are translated already in their document. `columns` are the columns of string
    tables by what they hold: `source`, `key`, `context`, `max_length`, or a language.
    """

    found: Sequence[FoundDocument]
    source_language: str
    languages: Sequence[str]
    with_done: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)

    def staged(
        self, scratch: Path, settings: Settings, files: ExitStack, in_memory: int = NAMES_IN_MEMORY
    ) -> "StagedDocuments":
        """Copy the documents to a local folder, and read each once.

        Raises:
            RequestError: A document cannot be opened, or two would be written to one file.
            StoreUnavailable: A URL cannot be read.
        """
        made = StagedDocuments(self, scratch, settings, Names(scratch / "keys.sqlite", in_memory, files))
        for one in self.found:
            made.add(one)
        made.check_outputs()
        return made


@dataclass
class StagedDocuments:
    """Documents on local disk."""

    given: DocumentInput
    scratch: Path
    settings: Settings
    keys: Names
    documents: list[KeptDocument] = field(default_factory=list)
    segments: int = 0
    sent: int = 0

    def path(self, number: int) -> Path:
        """Return the path of the copy of a document, by its place in `documents`."""
        return self.scratch / f"document-{number}"

    @property
    def record(self) -> DocumentSet:
        """What the acceptance says of the documents."""
        return DocumentSet(
            files=len(self.documents),
            bytes=sum(one.bytes for one in self.documents),
            source_language=self.given.source_language,
            languages=tuple(self.given.languages),
            with_done=self.given.with_done,
            columns=self.given.columns,
            list_sha256=hashlib.sha256(self.list_bytes).hexdigest(),
        )

    @property
    def list_bytes(self) -> bytes:
        """The content of `documents/list.jsonl`."""
        return list_bytes(self.documents)

    def add(self, one: FoundDocument) -> None:
        """Copy a document, and read it. If it cannot be read, its fault is noted."""
        path = self.path(len(self.documents))
        digest, size = hashlib.sha256(), 0
        limits = InputLimits.of(self.settings, None)
        with open_source(one.place, self.settings.options_for(one.place)) as file, path.open("wb") as target:
            for piece in pieces(file):
                digest.update(piece)
                target.write(piece)
                size += len(piece)
                if size > limits.bytes:
                    raise limits.passed("input_bytes", f"holds more than {limits.bytes:,} bytes", "split it")
        said = said_language(one.name, self.given.languages)
        languages = tuple(self.given.languages if said is None else [said])
        kept = KeptDocument(
            name=one.name, form=one.form.name, bytes=size, sha256=digest.hexdigest(), languages=languages
        )
        if (fault := self._fault(one, path, languages)) is not None:
            path.unlink()
            kept = KeptDocument(name=one.name, form=one.form.name, languages=languages, fault=fault)
        self.documents.append(kept)

    def check_outputs(self) -> None:
        """Raise RequestError if two documents would be written to one file, or one to a file of the delivery."""
        seen: dict[str, str] = {}
        for one, found in zip(self.documents, self.given.found, strict=True):
            for name, _ in outputs(one, found.form, self.given.source_language, self.given.columns):
                if (other := seen.setdefault(name.casefold(), one.name)) != one.name:
                    raise RequestError(
                        f"{other} and {one.name} would both be written to {name}: rename one, or enqueue them apart"
                    )
                if name in RESERVED:
                    raise RequestError(f"{one.name} would be written to {name}, which delivery needs: rename it")

    def records(self) -> Iterator[Record]:
        """Yield a record for each segment and language that is to be translated, and for each document that cannot be read.

        Raises RequestError at the end if there is none.
        """
        for number, (one, found) in enumerate(zip(self.documents, self.given.found, strict=True)):
            if one.fault is not None:
                finding = Finding("unreadable_document", None, one.fault)
                yield Record(1, one.fault.encode(), finding, custom_id=one.name[:MOST_CHARACTERS])
                continue
            for reading in self._readings(found.form, one.languages):
                for segment, line in self._read(self.path(number), found.form, one.name, reading):
                    self.segments += 1
                    if segment.state is State.DONE and not self.given.with_done:
                        continue
                    language = language_of(segment, reading)
                    key = key_of(segment, language).hex()
                    if self.keys.take(key, line) is not None:
                        continue
                    self._count()
                    yield self._record(segment, line, one.name, language, key)
        if not self.sent and all(one.fault is None for one in self.documents):
            raise self._nothing()

    def _nothing(self) -> RequestError:
        """Return the error for documents of which no segment is to be translated."""
        names = self.documents[0].name if len(self.documents) == 1 else f"{len(self.documents):,} documents"
        if not self.segments:
            return RequestError(f"{names}: no text to translate; nothing was accepted")
        count = "the only segment is" if self.segments == 1 else f"all {self.segments:,} segments are"
        return RequestError(f"{names}: {count} translated already (--all sends them too); nothing was accepted")

    def _readings(self, form: DocumentFormat, languages: Sequence[str]) -> Sequence[Reading]:
        return readings(form, self.given.source_language, languages, self.given.columns)

    def _count(self) -> None:
        self.sent += 1
        limits = InputLimits.of(self.settings, None)
        if self.sent > limits.rows:
            raise limits.passed("input_rows", f"has more than {limits.rows:,} rows", "split it")

    def _read(self, path: Path, form: DocumentFormat, name: str, reading: Reading) -> Iterator[tuple[Segment, int]]:
        with path.open("rb") as file:
            for piece in form.pieces(Source(file, name, reading[1])):
                if isinstance(piece, Slot):
                    for segment in piece.segments:
                        yield segment, piece.line

    def _fault(self, one: FoundDocument, path: Path, languages: Sequence[str]) -> str | None:
        """Read a document once. Returns what is wrong with it; None if it can be read."""
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith(_PACKED) and ".xlsx" not in one.form.suffixes:
            return f"{one.name}: it is compressed: unpack it"
        try:
            for _ in self._read(path, one.form, one.name, self._readings(one.form, languages)[0]):
                pass
        except DocumentError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - an error of one document must harm no other
            return f"{one.name}: the format {one.form.name} failed: {error!r}"[:1000]
        return None

    def _record(self, segment: Segment, line: int, name: str, language: str, key: str) -> Record:
        values: dict[str, Any] = {
            "custom_id": custom_id_of(name, language, segment.id),
            "kind": KIND,
            "text": segment.text,
            "source_language": self.given.source_language,
            "target_language": language,
            "format": "segment",
            "marks": [{"start": one.start, "end": one.end, "role": one.role} for one in segment.marks],
            "metadata": {"document": name, "language": language, "segment": segment.id, "line": line, KEY: key},
        }
        if segment.context:
            values["context"] = segment.context[:MOST_OF_CONTEXT]
        if segment.most is not None:
            values["max_length"] = segment.most
        return Record(line, orjson.dumps(values), values, document=name)
