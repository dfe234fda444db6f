"""The log of a worker: three files on its node, which outlive it. One holds its events, the others what is printed.

The names are unique, so whoever reads a file knows whose it is. A reader passes the offsets up to which it has read.
"""

import contextlib
import faulthandler
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs import logs
from workers.logs import libraries

STREAMS: Final = ("events", "stdout", "stderr")
"""The files of a log, by the ends of their names. The descriptors 1 and 2 of the worker lead to the last two."""
CHUNK: Final = 1 << 20
"""Bytes that are read of each file at once, at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of a log, each with its stream, and the offsets up to which it has been read. `found` is False without files."""

    lines: Sequence[tuple[str, str]]
    offsets: tuple[int, ...]
    found: bool = True


START: Final = (0,) * len(STREAMS)
"""The offsets of a log of which nothing was read yet."""


def path_of(folder: Path, name: str, stream: str) -> Path:
    """Return the path of one file of the log `name`."""
    return folder / f"nightpress-{name}.{stream}"


def open_log(folder: Path, name: str, level: str, node: str) -> None:
    """Send all that this process logs and prints to the log `name`, from now on. Its first line names the node."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    events, stdout, stderr = (os.open(path_of(folder, name, stream), flags, 0o600) for stream in STREAMS)
    for printed, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(printed, descriptor)
        os.close(printed)

    def write(line: str) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the worker
            os.write(events, (line + "\n").encode())  # at once, so that lines of two threads do not mix

    write(json.dumps({"node": node}))
    logs.configure(level, "json", write)
    libraries.become_events()
    faulthandler.enable(sys.stderr)


def read_log(folder: Path, name: str, offsets: Sequence[int], *, is_over: bool = False) -> Chunk:
    """Read the whole lines that follow the offsets. If the log `is_over`, also read a last line that has no end."""
    lines, ends, found = [], [], False
    for stream, offset in zip(STREAMS, offsets, strict=True):
        try:
            with path_of(folder, name, stream).open("rb") as file:
                file.seek(offset)
                read = file.read(CHUNK)
        except FileNotFoundError:
            ends.append(offset)
            continue
        found = True
        end = read.rfind(b"\n") + 1
        if (is_over and len(read) < CHUNK) or (len(read) == CHUNK and not end):
            end = len(read)
        whole = read[:end]
        lines += [(stream, line) for line in whole.decode(errors="replace").split("\n") if line.strip()]
        ends.append(offset + len(whole))
    return Chunk(lines, tuple(ends), found)


def delete_log(folder: Path, name: str) -> None:
    """Delete the files of a log."""
    for stream in STREAMS:
        path_of(folder, name, stream).unlink(missing_ok=True)
