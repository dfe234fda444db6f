"""Makes the standard error of a command a stream of JSON events. Lines that libraries print there become events too (see
`pump.py`).
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobs import logs
from workers.logs import libraries, pump

FLUSH_S: Final = 5.0
"""At its end, the command waits at most this many seconds until its last lines are written."""


def configure(level: str, form: str) -> None:
    """Configure the logs of a command. If it logs JSON, let nothing else reach its standard error.

    If standard error was replaced in this process, as tests do, file descriptor 2 is left alone.
    """
    logs.configure(level, form)
    if not logs.is_json():
        return
    libraries.become_events()
    try:
        is_own = sys.stderr.fileno() == 2
    except (OSError, ValueError):
        is_own = False
    if is_own:
        logs.configure(level, "json", _Pump().write)


class _Pump:
    """The child process that writes standard error, with a socket for events and a pipe in the place of file descriptor 2."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        text, in_its_place = os.pipe()
        self._events, self._lock = ours, threading.Lock()
        self._stderr = os.dup(2)
        # A service manager signals all processes of a unit. The child blocks these signals, so it can write the
        # command's last lines.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-I", "-S", str(Path(pump.__file__)), str(theirs.fileno()), str(text)],
                pass_fds=(theirs.fileno(), text),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        os.close(text)
        sys.stderr.flush()
        os.dup2(in_its_place, 2)
        os.close(in_its_place)
        atexit.register(self.close)

    def write(self, line: str) -> None:
        """Write one event. If the child process was killed, write it directly.

        If that fails too, such as on a full disk, the event is dropped: the command goes on.
        """
        data = (line + "\n").encode()
        with self._lock:
            try:
                self._events.sendall(data)
            except OSError:
                with suppress(OSError):
                    os.write(self._stderr, data)

    def close(self) -> None:
        """Write the rest of what was printed, and restore file descriptor 2."""
        sys.stderr.flush()
        os.dup2(self._stderr, 2)
        with self._lock:
            self._events.close()
        try:
            self._process.wait(FLUSH_S)
        except subprocess.TimeoutExpired:  # another process still holds the pipe
            return
