"""Shows workers/logs/pump.py and jobs/logs.py: a full disk under the log ends nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import logs
from workers.logs import pump


def test_the_pump_goes_on_where_standard_error_takes_nothing() -> None:
    """If the pump ended, the broken pipe would kill its command."""
    code = (
        "import os, subprocess, sys\n"
        "events, text = os.pipe(), os.pipe()\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1], str(events[0]), str(text[0])],\n"
        "    pass_fds=(events[0], text[0]), stderr=open('/dev/full', 'wb'))\n"
        "os.close(events[0]); os.close(text[0])\n"
        "os.write(events[1], b'{}\\n' * 9)\n"
        "os.write(text[1], b'a\\n' * 9)\n"
        "os.close(events[1]); os.close(text[1])\n"
        "sys.exit(child.wait())\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, str(Path(pump.__file__))], timeout=60, check=False).returncode == 0
    )


def test_an_event_that_cannot_be_printed_is_dropped(monkeypatch: pytest.MonkeyPatch, logs_of_a_command: None) -> None:
    logs.configure("info", "json")
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        logs.logger().info("queue.back", message="it answers")
        monkeypatch.undo()
        # discards the text in its buffer, so that closing it does not fail
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, full.fileno())
        os.close(nowhere)
