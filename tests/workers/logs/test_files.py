"""Shows workers/logs/files.py: the whole log of a worker outlives the worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.logs.files import CHUNK, START, delete_log, path_of, read_log

ROOT = Path(__file__).parents[3]
PROGRAM = """
import ctypes, logging, os, signal, sys, warnings
from pathlib import Path
from jobs.logs import logger
from workers.logs.files import open_log
open_log(Path(sys.argv[1]), "w", "info", "gpu-7")
libc = ctypes.CDLL(None)
logger().info("worker.started", worker="w", lane="stub")
print("of remote code")
print("to stderr", file=sys.stderr)
logging.getLogger("transformers").warning("flags")
warnings.warn("soon")
libc.dprintf(2, b"C says\\n")
from tqdm import tqdm
for _ in tqdm(range(3)): pass
os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def written(folder: Path, end: str) -> list[tuple[str, str]]:
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder), end], cwd=ROOT, timeout=60, check=False)
    return list(read_log(folder, "w", START, is_over=True).lines)


@pytest.mark.parametrize("end", ["SIGKILL", "SIGSEGV", "SIGTERM"])
def test_all_that_a_process_said_is_there_after_its_death(tmp_path: Path, end: str) -> None:
    lines = written(tmp_path, end)
    events = [json.loads(line) for stream, line in lines if stream == "events"]
    assert events[0] == {"node": "gpu-7"}
    assert [event["event"] for event in events[1:]] == ["worker.started", "library.logged", "library.logged"]
    assert [line for stream, line in lines if stream == "stdout"] == ["of remote code"]
    printed = [line for stream, line in lines if stream == "stderr"]
    assert printed[:2] == ["to stderr", "C says"], "and no progress bar"
    assert (len(printed) > 2) == (end == "SIGSEGV"), "where it crashed"
    delete_log(tmp_path, "w")
    assert list(tmp_path.iterdir()) == []


def test_only_whole_lines_are_read_while_more_may_come(tmp_path: Path) -> None:
    path_of(tmp_path, "w", "events").write_bytes(b"one\ntw")
    first = read_log(tmp_path, "w", START)
    assert first.lines == [("events", "one")]
    with path_of(tmp_path, "w", "events").open("ab") as file:
        file.write(b"o\n")
    second = read_log(tmp_path, "w", first.offsets)
    assert second.lines == [("events", "two")]
    assert read_log(tmp_path, "w", second.offsets, is_over=True).lines == []


def test_a_long_log_is_read_in_parts_and_an_endless_line_does_not_stop_it(tmp_path: Path) -> None:
    long = b"x" * (CHUNK * 2) + b"\n" + b"short\n"
    path_of(tmp_path, "w", "stderr").write_bytes(long)
    offsets, text = START, ""
    while chunk := read_log(tmp_path, "w", offsets, is_over=True):
        if not chunk.lines:
            break
        offsets, text = chunk.offsets, text + "".join(line for _, line in chunk.lines)
    assert text == "x" * (CHUNK * 2) + "short"
    assert not read_log(tmp_path, "other", START).found
