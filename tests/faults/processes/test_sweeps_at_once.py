"""Runs three `nightpress sweep` at once, and two `nightpress delete` of one batch: every batch is deleted, and no message is
untrue.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from jobs.accounts.tallies import tallies
from jobs.batches.rounds import close, list_batches
from jobs.client import Client
from jobs.settings import Settings
from jobs.store.opening import open_store

pytestmark = pytest.mark.faults
BATCHES = 30
UNTRUE = ("Traceback", "disk", "backup", "reopened", "damaged", "no batch")


def started(folder: Path, *commands: Sequence[str]) -> list[tuple[int, str, str]]:
    """Start these commands at once, and return the status, standard output and standard error of each."""
    env = {**os.environ, "NIGHTPRESS_STORE_URL": str(folder / "store"), "NIGHTPRESS_MODEL": "stub"}
    program = [sys.executable, "-c", "import sys; from jobs.commands.cli import main; sys.exit(main())"]
    running = [
        subprocess.Popen([*program, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    ended = [(process, *process.communicate(timeout=300)) for process in running]
    return [(process.returncode, out, err) for process, out, err in ended]


def publish(folder: Path, batches: int) -> list[str]:
    """Publish batches. Each has a cancelled row and a refused row."""
    with Client(Settings(store_url=str(folder / "store"), model="stub")) as client:
        rows = [{"kind": "chat", "prompt": "Hi"}, {"kind": "none"}]
        made = [client.enqueue(rows, run_key=f"{n}").id for n in range(batches)]
        for batch_id in made:
            close(client.store, batch_id, "cancelled")
            client.publish(batch_id)
    return made


@pytest.mark.smoke
def test_three_sweeps_at_once_delete_all_batches(tmp_path: Path) -> None:
    made = publish(tmp_path, BATCHES)
    store = open_store(str(tmp_path / "store"))
    usage = tallies(store, "batch")
    sweep = ["sweep", "--older-than", "0h", "--yes"]
    ended = started(tmp_path, sweep, sweep, sweep)
    for status, _, err in ended:
        assert (status, [word for word in UNTRUE if word in err]) == (0, []), err
    assert {batch_id for _, out, _ in ended for batch_id in out.split()} == set(made)
    assert list_batches(store) == []
    assert tallies(store, "batch") == usage
    # a note that one sweep made after another had deleted the batch is removed by the next reader of the accounts
    assert (store.list("open"), store.list("unsummed")) == ([], [])


def test_two_deletions_of_one_batch(tmp_path: Path) -> None:
    made = publish(tmp_path, 6)
    for batch_id in made:
        for status, _, err in started(tmp_path, *[["delete", batch_id, "--yes"]] * 2):
            untrue = [word for word in UNTRUE if word in err and word != "no batch"]
            assert (status in (0, 2), untrue) == (True, []), err  # 2: the batch was gone before this command looked
            assert status == 0 or f"no batch '{batch_id}'" in err
    assert list_batches(open_store(str(tmp_path / "store"))) == []


def test_a_status_beside_a_sweep_shows_no_damage(tmp_path: Path) -> None:
    publish(tmp_path, BATCHES)
    watched = [["status", "--json"], ["usage"], ["status"]]
    ended = started(tmp_path, ["sweep", "--older-than", "0h", "--yes"], *watched)
    for status, _, err in ended:
        assert (status, [word for word in UNTRUE if word in err]) == (0, []), err
    shown = orjson.loads(ended[1][1]) if ended[1][1] else {"batches": []}
    assert all(one["state"] == "published" for one in shown["batches"])
