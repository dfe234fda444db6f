"""The log of a worker: three files on its node, which outlive the worker. One file holds its events; two hold what it prints on
stdout and stderr.

The name of a log is unique, so it belongs to one worker. A reader passes the offsets up to which it has read each file.
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
"""The ends of the names of a log's three files. File descriptors 1 and 2 of the worker write to the last two files."""
CHUNK: Final = 1 << 20
"""At most this many bytes of each file are read at once."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of a log, each with its stream, and the offsets up to which the files were read. `found` is False if there are no
    files.
    """

    lines: Sequence[tuple[str, str]]
    offsets: tuple[int, ...]
    found: bool = True


START: Final = (0,) * len(STREAMS)
"""The offsets of a log that nobody has read yet."""


def path_of(folder: Path, name: str, stream: str) -> Path:
    """Return the path of one file of the log `name`."""
    return folder / f"nightpress-{name}.{stream}"


def open_log(folder: Path, name: str, level: str, node: str) -> None:
    """From now on, write everything that this process logs and prints to the log `name`. The first line of the log names the
    node.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    events, stdout, stderr = (os.open(path_of(folder, name, stream), flags, 0o600) for stream in STREAMS)
    for printed, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(printed, descriptor)
        os.close(printed)

    def write(line: str) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the worker
            os.write(events, (line + "\n").encode())  # in one call, so that lines of two threads do not mix

    write(json.dumps({"node": node}))
    logs.configure(level, "json", write)
    libraries.become_events()
    faulthandler.enable(sys.stderr)


def read_log(folder: Path, name: str, offsets: Sequence[int], *, is_over: bool = False) -> Chunk:
    """Read the complete lines after the offsets. If the log `is_over`, also read a last line without a line end."""
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
