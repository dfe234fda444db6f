"""The files of a memory: `memory/<tenant>/`, created once and never changed.

    memory/<tenant>/<batch>.<round>.<published at>.jsonl    the entries of one published round
    memory/<tenant>/import-<sha256>.jsonl                   the entries of one import
    memory/<tenant>/merged-<sha256>.jsonl                   many of these files, one after the other
    memory/<tenant>/forgotten-<sha256>.json                 what is to be forgotten: every reader leaves it out

A file is one section, a merged file is many. A *section* is a line that opens it and names it, its entries, and a line that
closes it with their number; each line has a checksum. A section counts once, by its name, whatever files it lies in. So a file
may be written twice, or merged while others read, and no entry counts twice. A file that is not whole is named and passed over.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, BinaryIO, Final

import orjson

from jobs.errors import StoreDamaged
from jobs.memory.entry import Entry, source_hash
from jobs.store.checksum import with_checksum, without_checksum
from jobs.store.damage import check_format, damaged_file
from jobs.store.store import Store

FOLDER: Final = "memory"
FORMAT: Final = 1
"""The version of the form of a section and of a forgotten text. A higher one is refused."""

_FORGOTTEN: Final = re.compile(r"forgotten-[0-9a-f]{16}\.json")
_MERGED: Final = re.compile(r"merged-[0-9a-f]{16}\.jsonl")
_SINGLE: Final = re.compile(r"(?:import-[0-9a-f]{16}|.+\.[0-9]+\.[0-9]{8}T[0-9]+)\.jsonl")
_OPENS: Final = b'{"section":'
_CLOSES: Final = b'{"entries":'


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a memory's files: `single` have a section each, `merged` have many. Nightpress did not write `foreign`."""

    single: tuple[str, ...]
    merged: tuple[str, ...]
    forgotten: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all files with sections: merged ones first, since most entries lie there."""
        return self.merged + self.single


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is to be forgotten: the entries up to `at` whose source has this hash, into `target_language` if it is given.

    If `source` is empty, all entries up to `at` are meant.
    """

    at: datetime
    source: str = ""
    target_language: str = ""

    def covers(self, entry: Entry) -> bool:
        """Whether an entry is to be forgotten."""
        return (
            entry.at <= self.at
            and (not self.target_language or entry.target_language.casefold() == self.target_language.casefold())
            and (not self.source or source_hash(entry.source) == self.source)
        )

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        values = {"format": FORMAT, "at": self.at, "source": self.source, "target_language": self.target_language}
        return with_checksum(orjson.dumps(values)) + b"\n"


class Section:
    """A section while it is read: its name, and its entries, which are read once and to their end."""

    def __init__(self, name: str, entries: Iterator[tuple[Entry, bytes]]) -> None:
        self.name = name
        self.entries = entries


def folder_of(tenant: str) -> str:
    """Return the folder of a tenant's memory."""
    return f"{FOLDER}/{tenant}"


def round_name(batch_id: str, round_: int, at: datetime) -> str:
    """Return the name of a round's file. It holds the time, since a deleted batch may have had the same id and round."""
    return f"{batch_id}.{round_}.{at.astimezone(UTC):%Y%m%dT%H%M%S%f}.jsonl"


def import_name(sha256: str) -> str:
    """Return the name of the file of an import, whose content has this sha256."""
    return f"import-{sha256[:16]}.jsonl"


def list_names(store: Store, tenant: str) -> Names:
    """List the files of a tenant's memory. Raises StoreUnavailable."""
    names = store.list(folder_of(tenant))
    single, merged, forgotten = (tuple(filter(form.fullmatch, names)) for form in (_SINGLE, _MERGED, _FORGOTTEN))
    known = {*single, *merged, *forgotten}
    return Names(single, merged, forgotten, tuple(name for name in names if name not in known))


def list_tenants(store: Store) -> list[str]:
    """Return the tenants that have a memory. Raises StoreUnavailable."""
    return store.list(FOLDER)


def write_section(store: Store, tenant: str, name: str, entries: Iterable[Entry]) -> int:
    """Write a file with one section, and return the number of its entries. A file that is there already stays as it is.

    Nothing is written if there are no entries. Raises StoreUnavailable.
    """
    return write_lines(store, tenant, name, (entry.to_line() for entry in entries))


def write_lines(store: Store, tenant: str, name: str, lines: Iterable[bytes]) -> int:
    """Write a file with one section of entries that are lines already. All else is as in `write_section`."""
    waiting = iter(lines)
    first = next(waiting, None)
    if first is None:
        return 0
    count = 0
    with store.writer(f"{folder_of(tenant)}/{name}") as file:
        file.write(opening(name))
        for line in chain([first], waiting):
            file.write(line)
            count += 1
        file.write(closing_line(count))
    return count


def opening(name: str) -> bytes:
    """Return the line that opens a section."""
    return with_checksum(orjson.dumps({"section": name, "format": FORMAT})) + b"\n"


def closing_line(count: int) -> bytes:
    """Return the line that closes a section of this many entries."""
    return with_checksum(orjson.dumps({"entries": count})) + b"\n"


def read_sections(store: Store, tenant: str, name: str, wanted: Callable[[str], bool]) -> Iterator[Section]:
    """Yield the sections of a file that are wanted by name. The entries of one must be read before the next is asked for.

    Raises KeyError if the file is missing, StoreDamaged if it is not what was written (also at its end), StoreTooNew,
    StoreUnavailable. What was read of a damaged file must not be used.
    """
    path = f"{folder_of(tenant)}/{name}"
    place = f"storage {store.redacted_url}: {path}"
    with store.reader(path) as file:
        try:
            while line := file.readline():
                opened = _object(line, _OPENS)
                check_format(opened, FORMAT, place)
                section = opened["section"]
                if not isinstance(section, str):
                    raise TypeError("the name of a section is no text")
                if wanted(section):
                    entries = _named(_entries(file), store, path)
                    with closing(entries):
                        yield Section(section, entries)
                        for _ in entries:
                            pass
                else:
                    _pass_over(file)
        except (ValueError, TypeError, KeyError) as error:
            raise damaged_file(store, path) from error


def checked_sections(store: Store, tenant: str, name: str) -> list[str]:
    """Return the names of the sections of a file after all its lines were checked. Raises what `read_sections` raises."""
    return [section.name for section in read_sections(store, tenant, name, lambda _: True)]


def forget(store: Store, tenant: str, forgotten: Forgotten) -> str:
    """Leave the file that says what is to be forgotten, and return its name. Raises StoreUnavailable."""
    data = forgotten.to_bytes()
    name = f"forgotten-{hashlib.sha256(data).hexdigest()[:16]}.json"
    store.create(f"{folder_of(tenant)}/{name}", data)
    return name


def read_forgotten(store: Store, tenant: str, name: str) -> Forgotten:
    """Read what is to be forgotten. Raises KeyError if the file is missing, StoreDamaged, StoreTooNew, StoreUnavailable."""
    path = f"{folder_of(tenant)}/{name}"
    data = store.read(path)
    try:
        values = orjson.loads(without_checksum(data))
        check_format(values, FORMAT, f"storage {store.redacted_url}: {path}")
        at = datetime.fromisoformat(values["at"]).astimezone(UTC)
        return Forgotten(at, str(values["source"]), str(values["target_language"]))
    except (ValueError, TypeError, KeyError) as error:
        raise damaged_file(store, path) from error


def readable_forgotten(store: Store, tenant: str, names: Iterable[str]) -> tuple[list[Forgotten], list[StoreDamaged]]:
    """Return what is to be forgotten, and an error for each file of it that cannot be read."""
    found: list[Forgotten] = []
    faults: list[StoreDamaged] = []
    for name in names:
        try:
            found.append(read_forgotten(store, tenant, name))
        except KeyError:  # it was deleted meanwhile
            continue
        except StoreDamaged as error:
            faults.append(error)
    return found, faults


def _named(
    entries: Iterator[tuple[Entry, bytes]], store: Store, path: str
) -> Generator[tuple[Entry, bytes], None, None]:
    """Yield the entries. Raises StoreDamaged, which names the file, in place of ValueError and TypeError."""
    try:
        yield from entries
    except (ValueError, TypeError) as error:
        raise damaged_file(store, path) from error


def _entries(file: BinaryIO) -> Iterator[tuple[Entry, bytes]]:
    """Yield the entries of an open section with their lines. Raises ValueError or TypeError if it is not whole."""
    count = 0
    while line := file.readline():
        if line.startswith(_CLOSES):
            if _object(line, _CLOSES)["entries"] != count:
                raise ValueError("entries are missing")
            return
        yield Entry.from_line(line), line
        count += 1
    raise ValueError("the section does not end")


def _pass_over(file: BinaryIO) -> None:
    while line := file.readline():
        if line.startswith(_CLOSES):
            _object(line, _CLOSES)
            return
    raise ValueError("the section does not end")


def _object(line: bytes, begins: bytes) -> dict[str, Any]:
    if not line.startswith(begins):
        raise ValueError("it is no such line")
    values: dict[str, Any] = orjson.loads(without_checksum(line))
    return values
