"""Starts the processes of `scripts/bench/scale.py`: servers, and the parts of the benchmark. The kernel measures the memory of
the parts.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).parents[1] / "scale.py"


class Part:
    """A process that runs one part of the benchmark. `cpu_s` is its CPU time in seconds, which `wait` sets."""

    cpu_s = 0.0

    def __init__(self, part: str, rows: int, args: argparse.Namespace, store: str, **more: str) -> None:
        options = [f"--rows={rows}", f"--segments={args.segments}", f"--row-bytes={args.row_bytes}"]
        options += [f"--window={args.window}", f"--workers={args.workers}", f"--part={part}", f"--store={store}"]
        options += [f"--{name.replace('_', '-')}={value}" for name, value in more.items()]
        self._name = part
        self._began = time.monotonic()
        self._process = subprocess.Popen([sys.executable, str(SCRIPT), *options], stdout=subprocess.PIPE)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def wait(self) -> tuple[float, float, str]:
        """Wait until the process ends. Returns three values: its seconds, its peak memory in MB, and its output.

        Ends the benchmark if the process failed.
        """
        output = self._process.stdout.read().decode() if self._process.stdout else ""
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = used.ru_utime + used.ru_stime
        if self._process.returncode:
            sys.exit(f"{self._name} ended with {self._process.returncode}")
        return time.monotonic() - self._began, used.ru_maxrss / 1024, output


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(command: Sequence[str], port: int) -> Iterator[None]:
    """Start a private server, and wait until it accepts connections. End the server after the `with` block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                sys.exit(f"{command[0]} does not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()
