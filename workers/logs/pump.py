"""The program that writes the standard error of a command which logs JSON. It runs as a child process, and needs only Python's
own library.

It is the only writer of standard error, so no line is cut by another. Its arguments are two file descriptors. From the first it
reads whole events, and writes them unchanged. From the second it reads everything that libraries, in C++ too, print on file
descriptor 2, and makes an event of each line. It outlives the command, so it also writes the last lines of a crash.
"""

import json
import os
import re
import select
import sys
import time

IDLE_S = 0.5
"""Seconds. After the command has ended, the program ends when nothing was printed for this long."""
ANSI = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")
"""Matches colours and other commands to a terminal. They are left out of events."""
LONGEST = 1 << 20
"""Bytes. A longer line is cut into several events."""


def main() -> None:
    """Copy until both descriptors are at their end, or until the command has ended and nothing comes for `IDLE_S`."""
    events, text = int(sys.argv[1]), int(sys.argv[2])
    rests = {events: b"", text: b""}
    while rests:
        ready = select.select(list(rests), [], [], None if events in rests else IDLE_S)[0]
        if not ready:
            break
        for source in ready:
            read = os.read(source, 1 << 16)
            lines = (rests[source] + read).split(b"\n")
            rests[source] = lines.pop()
            if not read or len(rests[source]) > LONGEST:
                lines.append(rests[source])
                rests[source] = b""
            if not read:
                del rests[source]
            for line in lines:
                write(line if source == events else as_event(line))
    for rest in rests.values():
        write(as_event(rest))


def as_event(line: bytes) -> bytes:
    """Return an event with the text of a printed line; empty for a line without text."""
    text = ANSI.sub(b"", line).rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace").rstrip()
    if not text:
        return b""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000 % 1_000_000:06d}Z"
    return json.dumps({"text": text, "event": "process.printed", "level": "warning", "timestamp": at}).encode()


def write(line: bytes) -> None:
    """Write one line on standard error, all of it. If standard error takes no more, such as on a full disk, drop the line: the
    command goes on.
    """
    left = line + b"\n" if line else b""
    try:
        while left:
            left = left[os.write(2, left) :]
    except OSError:
        return


if __name__ == "__main__":
    main()
