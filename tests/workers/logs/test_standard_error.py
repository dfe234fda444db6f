"""Shows workers/logs/standard_error.py, libraries.py and pump.py: each line on the standard error of a command is one event."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = """
import ctypes, logging, os, signal, sys, warnings
from jobs import logs
from workers.logs import standard_error
standard_error.configure("info", "auto")
log = logs.logger()
libc = ctypes.CDLL(None)
"""


def printed(code: str, status: int = 0, **env: str) -> list[dict[str, Any]]:
    """The events that a program printed on its standard error. Every line must be an event."""
    command = [sys.executable, "-c", BEGIN + code]
    kept = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(command, env=kept, capture_output=True, timeout=60, check=False, start_new_session=True)
    assert done.returncode == status, done.stderr
    assert done.stdout == b""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in done.stderr.splitlines()]
    assert all(isinstance(line, dict) and {"event", "level", "timestamp"} <= set(line) for line in lines)
    return lines


@pytest.mark.parametrize(
    ("code", "event", "key", "value"),
    [
        pytest.param("log.info('fleet.stopped', text='a\\nb')", "fleet.stopped", "text", "a\nb", id="an event"),
        pytest.param("log.info('fleet.stopped', x=float('nan'))", "fleet.stopped", "x", "nan", id="not a number"),
        pytest.param("log.info('fleet.stopped', x='\\udcff')", "fleet.stopped", "x", "\udcff", id="half a surrogate"),
        pytest.param("log.info('fleet.stopped', x=b'y')", "fleet.stopped", "x", "b'y'", id="what JSON has not"),
        pytest.param("print('a', file=sys.stderr)", "process.printed", "text", "a", id="a print"),
        pytest.param("print('a', end='', file=sys.stderr)", "process.printed", "text", "a", id="no end of line"),
        pytest.param("os.write(2, b'\\xff\\n')", "process.printed", "text", "�", id="not UTF-8"),
        pytest.param("os.write(2, b'{\"a\": 1}\\n')", "process.printed", "text", '{"a": 1}', id="a library's own JSON"),
        pytest.param("os.write(2, b' 1%\\r50%\\r99%\\r\\n')", "process.printed", "text", "99%", id="a progress bar"),
        pytest.param(
            "os.write(2, b'\\x1b[33m(raylet)\\x1b[0m b\\n')", "process.printed", "text", "(raylet) b", id="colours"
        ),
        pytest.param("libc.dprintf(2, b'C says\\n')", "process.printed", "text", "C says", id="C"),
        pytest.param("os.system('echo child >&2')", "process.printed", "text", "child", id="a child process"),
        pytest.param("logging.getLogger('lib').warning('n %d', 7)", "library.logged", "message", "n 7", id="a logger"),
        pytest.param(
            "logging.getLogger('lib').error('n %d', 'x')", "library.logged", "logger", "lib", id="a wrong format"
        ),
        pytest.param("logging.getLogger('lib').critical('c')", "library.logged", "level", "error", id="a critical one"),
        pytest.param("warnings.warn('soon')", "library.logged", "logger", "UserWarning", id="a warning"),
    ],
)
def test_a_line_is_one_event(code: str, event: str, key: str, value: str) -> None:
    (line,) = printed(code)
    assert (line["event"], line[key]) == (event, value)


def test_lines_of_all_kinds_at_once_are_whole_and_none_is_lost() -> None:
    """Some threads log events that are longer than a pipe takes at once. Other threads print at the same time."""
    code = """
import threading
def events():
    for n in range(200): log.info("fleet.stopped", x="x" * 9000, n=n)
def prints():
    for n in range(200): print("y" * 9000, n, file=sys.stderr)
def child():
    os.system("i=0; while [ $i -lt 200 ]; do echo z $i >&2; i=$((i+1)); done")
all_of_them = [threading.Thread(target=run) for run in (events, events, prints, child)]
[one.start() for one in all_of_them]; [one.join() for one in all_of_them]
"""
    lines = printed(code)
    assert sum(line["event"] == "fleet.stopped" and line["x"] == "x" * 9000 for line in lines) == 400
    printed_text = "".join(line["text"] for line in lines if line["event"] == "process.printed")
    assert (printed_text.count("y"), printed_text.count("z")) == (200 * 9000, 200), "two that print may share a line"


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["at once", "killed"])
def test_the_last_words_of_a_process_that_dies_are_not_lost(end: str) -> None:
    status = 3 if "_exit" in end else -signal.SIGKILL
    lines = printed(f"log.error('worker.failed', error='e'); libc.dprintf(2, b'fatal'); {end}", status)
    assert [line["event"] for line in lines] == ["worker.failed", "process.printed"]


def test_a_child_that_lives_on_does_not_keep_the_command_from_its_end() -> None:
    """The text that the child has printed is not lost, although its line has no end."""
    code = """
import subprocess
child = subprocess.Popen(["sh", "-c", "printf begun >&2; echo; exec timeout 50 tail -f /dev/null"], stdout=subprocess.PIPE)
child.stdout.readline()
"""
    began = time.monotonic()
    assert [line["text"] for line in printed(code)] == ["begun"]
    assert time.monotonic() - began < 40


def test_an_exception_is_one_event() -> None:
    (line,) = printed("def f():\n    raise ValueError('wrong')\nf()", 1)
    assert (line["event"], line["error"]) == ("command.crashed", "ValueError: wrong")
    assert "in f" in line["traceback"]


def test_a_signal_to_all_processes_of_the_command_leaves_the_last_lines() -> None:
    """A service manager signals every process of a unit."""
    code = """
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout.split()
for child in children:
    try: os.kill(int(child), signal.SIGTERM)
    except ProcessLookupError: pass
log.info("fleet.stopped")
print("after", file=sys.stderr)
"""
    assert [line["event"] for line in printed(code)] == ["fleet.stopped", "process.printed"]


def test_a_terminal_gets_text_and_nothing_is_caught() -> None:
    code = BEGIN.replace('"auto"', '"console"') + "log.info('fleet.stopped'); print('plain', file=sys.stderr)"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    first, second = done.stderr.splitlines()
    assert "fleet.stopped" in first
    assert second == "plain"
