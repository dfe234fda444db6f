"""The archive keeps the files of the summaries few, so that the accounts of a year are read quickly.

If there are more than `ARCHIVED` single files, they are copied into one archive and then deleted. If there are more than
`ARCHIVES` archives, they are merged into one in the same way. The copy is durable before anything is deleted. A round may
therefore be in two files, and stays in both if a process is killed in between. A reader counts each round once, by the name of
its summary. A file that is damaged, or of a newer release, stays as it is.

    usage/<batch_id>.<round>.<published at>.json    one round
    usage/archive-<sha256>.jsonl                    many rounds, a line each
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from jobs.accounts.summary import Summary
from jobs.errors import StoreDamaged, StoreTooNew
from jobs.logs import logger
from jobs.store.damage import damaged_file
from jobs.store.fan_out import each
from jobs.store.store import Store

FOLDER: Final = "usage"
ARCHIVED: Final = 256
"""If there are more single files than this, they are archived."""
ARCHIVES: Final = 16
"""If there are more archives than this, they are merged into one."""
AT_ONCE: Final = 32
"""At most this many requests are sent to an object store at a time."""

_PREFIX: Final = "archive-"


_SINGLE: Final = re.compile(r".+\.[0-9]+\.[0-9]{8}T[0-9]+\.json")
_ARCHIVE: Final = re.compile(_PREFIX + r"[0-9a-f]{16}\.jsonl")


class Files(NamedTuple):
    """The names of the files in `usage/`: `single` hold one summary each, `archives` hold many. Nightpress did not write
    `foreign`.
    """

    single: Sequence[str]
    archives: Sequence[str]
    foreign: Sequence[str]


def list_files(store: Store) -> Files:
    """List the files of all summaries. Raises StoreUnavailable."""
    names = store.list(FOLDER)
    archives = [name for name in names if _ARCHIVE.fullmatch(name)]
    single = [name for name in names if _SINGLE.fullmatch(name)]
    return Files(single, archives, sorted({*names} - {*archives, *single}))


def read_unseen(store: Store, seen: set[str], faults: dict[str, StoreDamaged]) -> Iterator[Summary]:
    """Yield each summary whose name is not in `seen`, and add its name to `seen`.

    `faults` gets an error for each file that cannot be read, by the file's name. Raises KeyError if a file was archived after it
    was listed: then call this function again with the same `seen`. Raises StoreUnavailable.
    """
    single, archives, foreign = list_files(store)
    for name in foreign:
        if name not in seen:
            seen.add(name)
            logger().warning("store.foreign_file", path=f"{FOLDER}/{name}")
    for archive in archives:
        with store.reader(f"{FOLDER}/{archive}") as lines:
            for line in lines:
                summary = _parse(store, archive, line, faults)
                if summary is not None and summary.name not in seen:
                    seen.add(summary.name)
                    yield summary
    names = [name for name in single if name not in seen]
    for name, line in zip(names, each(store.read, [f"{FOLDER}/{name}" for name in names], AT_ONCE), strict=True):
        summary = _parse(store, name, line, faults)
        if summary is not None and summary.name not in seen:
            seen.add(summary.name)
            yield summary


def merge_files(store: Store) -> None:
    """Copy all single files into one archive if there are more than `ARCHIVED`, and delete them. Raises StoreUnavailable.

    If there are more than `ARCHIVES` archives, all archives and single files are copied into one archive, and deleted. Two
    processes that do this at once may make an archive each.
    """
    single, archives, _ = list_files(store)
    merges = len(archives) > ARCHIVES
    if len(single) <= ARCHIVED and not merges:
        return
    faults: dict[str, StoreDamaged] = {}
    lines: set[bytes] = set()
    try:
        for name, line in zip(single, each(store.read, [f"{FOLDER}/{name}" for name in single], AT_ONCE), strict=True):
            if _parse(store, name, line, faults) is not None:
                lines.add(line)
        for archive in archives if merges else ():
            with store.reader(f"{FOLDER}/{archive}") as old:
                lines.update([line for line in old if _parse(store, archive, line, faults) is not None])
    except KeyError:  # another process archives at this moment
        return
    made = b"".join(sorted(lines))
    name = f"{_PREFIX}{hashlib.sha256(made).hexdigest()[:16]}.jsonl"
    store.create(f"{FOLDER}/{name}", made)
    copied = [*single, *(archive for archive in archives if merges and archive != name)]
    if whole := [f"{FOLDER}/{name}" for name in copied if name not in faults]:
        store.discard(*whole)


def _parse(store: Store, file: str, line: bytes, faults: dict[str, StoreDamaged]) -> Summary | None:
    """Read one line of a file. Returns None and adds the file to `faults` if the line cannot be read."""
    path = f"{FOLDER}/{file}"
    try:
        return Summary.from_bytes(line, f"storage {store.redacted_url}: {path}")
    except (ValueError, KeyError, TypeError, AttributeError):
        faults[file] = damaged_file(store, path)
    except StoreTooNew as error:
        faults[file] = error
    return None
