"""Tests enqueuers as processes: killed at each step, several at once on one file, a file that changes, a store without room.

There is always a whole batch or no batch, one file makes one batch, and a later enqueuer completes the work of a killed
enqueuer.
"""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs.batches.rounds import load_batch
from tests.faults.premises import Premises
from tests.faults.processes.each_step import EACH_STEP
from tests.faults.processes.races import race
from tests.faults.storage.storage_faults import small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
ROWS = 20


@pytest.fixture
def night(make_night: Callable[..., Premises]) -> Premises:
    return make_night(stub={"step_s": 0.0})


def write_rows(night: Premises, rows: int = ROWS, *, say: str = "Say") -> None:
    """Write good rows, and then one bad row, to rows.jsonl."""
    lines = [json.dumps({"kind": "chat", "prompt": f"{say} {n}."}) for n in range(rows)]
    (night.folder / "rows.jsonl").write_text("\n".join([*lines, "{torn"]) + "\n")


def accepted(night: Premises) -> list[str]:
    return [name for name in night.store.list("batches") if load_batch(night.store, name) is not None]


@pytest.mark.smoke
def test_an_enqueuer_killed_at_each_step_and_the_next_makes_the_batch(night: Premises) -> None:
    write_rows(night)
    process = night.run_code(EACH_STEP, "enqueue", "rows.jsonl", "--run-key", "k{n}")
    assert process.wait(120) == 0, night.logs()
    kills = night.logged("killed ")
    assert kills >= 10
    batches = accepted(night)
    assert len(batches) == kills + 2, "each run key is one batch, and the first and the last run were not killed"
    assert sorted(night.store.list("open")) == batches
    night.work()
    for batch_id in batches:
        assert night.finish(batch_id) == {"completed": ROWS, "failed": 1}


@pytest.mark.smoke
def test_one_file_enqueued_by_several_processes_at_once_is_one_batch(night: Premises) -> None:
    write_rows(night, 400)
    assert race(night, *[("enqueue", "rows.jsonl", "--run-key", "tonight")] * 3) == [0, 0, 0], night.logs()
    (batch_id,) = accepted(night)
    assert night.logged(batch_id) >= 3, "each process prints its id"
    night.work()
    assert night.finish(batch_id) == {"completed": 400, "failed": 1}


STOPS = """
import os, signal, sys
from jobs.commands.cli import main
link = os.link
def stopping(source, target):
    if str(target).endswith("batch.json"):
        os.kill(os.getpid(), signal.SIGSTOP)
    return link(source, target)
os.link = stopping
sys.exit(main(sys.argv[1:]))
"""
"""A `nightpress` that stops itself before it creates batch.json."""


@pytest.mark.smoke
def test_an_enqueuer_stopped_while_another_accepts_the_same_file(night: Premises) -> None:
    """The first enqueuer saw no batch before it was stopped. When it continues, it finds the other enqueuer's batch, which is
    the same.
    """
    write_rows(night)
    words = ("enqueue", "rows.jsonl", "--run-key", "tonight")
    first = night.run_code(STOPS, *words)
    night.until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED, 30, "the first to stand still")
    assert accepted(night) == []
    second = night.command(*words)
    assert second.returncode == 0, second.stderr
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == 0, night.logs()
    assert accepted(night) == [second.stdout.strip()]
    assert night.logged(second.stdout.strip()) > 0
    night.work()
    assert night.finish(second.stdout.strip()) == {"completed": ROWS, "failed": 1}


def test_a_file_that_changes_between_two_enqueues_is_two_batches(night: Premises) -> None:
    """The second batch does not change the first batch, on which workers are working. Enqueueing the first file again gives the
    first batch.
    """
    write_rows(night)
    first = night.command("enqueue", "rows.jsonl", "--run-key", "tonight")
    night.work()
    write_rows(night, say="Tell")
    second = night.command("enqueue", "rows.jsonl", "--run-key", "tonight")
    write_rows(night)
    again = night.command("enqueue", "rows.jsonl", "--run-key", "tonight")
    assert (first.returncode, second.returncode, again.returncode) == (0, 0, 0)
    assert first.stdout == again.stdout != second.stdout
    one, other = first.stdout.strip(), second.stdout.strip()
    assert sorted(accepted(night)) == sorted((one, other))
    for batch_id in (one, other):
        assert night.finish(batch_id) == {"completed": ROWS, "failed": 1}
    texts = [[row["output"]["text"] for row in night.outputs(batch_id).values()] for batch_id in (one, other)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_enqueue_reports_a_store_that_refuses_writes_and_accepts_nothing(
    tmp_path: Path, make_night: Callable[..., Premises], how: str
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        night = make_night(store_url=str(disk.folder / "store"))
        write_rows(night)
        night.store.create("open/.keep", b"")
        disk.fill() if how == "full" else disk.read_only()
        tried = night.command("enqueue", "rows.jsonl", "--run-key", "tonight")
        assert (tried.returncode, tried.stdout) == (3, "")
        assert len(tried.stderr.splitlines()) == 1, tried.stderr
        assert ("No space left" if how == "full" else "Read-only file system") in tried.stderr
        assert accepted(night) == []
        disk.clear() if how == "full" else disk.writable()
        made = night.command("enqueue", "rows.jsonl", "--run-key", "tonight")
        assert made.returncode == 0, made.stderr
        night.work()
        assert night.finish(made.stdout.strip()) == {"completed": ROWS, "failed": 1}
