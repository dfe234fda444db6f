"""Runs `nightpress nightly` on a folder of files, which are published by the morning."""

import fcntl
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.command_line import MAIN

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


def nightly(shell: Any, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, "nightly", "inbox", *args],
        cwd=shell.folder,
        env=shell.env,
        text=True,
        capture_output=True,
        timeout=200,
        check=False,
    )


def row(n: int) -> dict[str, Any]:
    return {"kind": "chat", "model": "stub", "prompt": f"Say {n}."}


def test_a_night(cluster_shell: Any) -> None:
    """Each file is published and moved; one bad row makes the status 1; the second night finds an empty inbox.

    At the soft deadline no row is ready, because Ray has not even started: round 1 is empty, and all rows follow in round 2.
    """
    shell = cluster_shell
    (shell.folder / "inbox").mkdir()
    shell.rows([row(n) for n in range(5)], "inbox/good.jsonl")
    shell.rows([row(1), {"kind": "sonnet"}], "inbox/mixed.jsonl")
    ended = nightly(shell, "--out", "published", "--publish-at", "+1s")
    assert ended.returncode == 1, ended.stderr
    assert "good.jsonl: 5 of 5 rows" in ended.stdout
    assert "mixed.jsonl: 1 of 2 rows" in ended.stdout
    (night,) = (shell.folder / "published").iterdir()
    assert len((night / "good.jsonl/output.jsonl").read_text().splitlines()) == 5
    (error,) = (night / "mixed.jsonl/errors.jsonl").read_text().splitlines()
    assert json.loads(error)["error"]["code"] == "unknown_kind"
    (batch,) = (shell.folder / ".nightpress/store/batches").glob("good-*")
    first, second = (json.loads((batch / f"done-{n}.json").read_text())["counts"] for n in (1, 2))
    assert (first["expired"], second["completed"]) == (5, 5)
    assert (batch / "delivered-2.json").exists(), "the outputs are in their place"
    usage = json.loads((night / "good.jsonl/usage.json").read_text())
    assert usage["new"]["charge"] == usage["charge"] > 0, "round 1 used nothing and charged nothing"
    assert not list((shell.folder / "inbox").glob("*.jsonl"))
    assert sorted(p.name for p in (shell.folder / "inbox/done" / night.name).iterdir()) == ["good.jsonl", "mixed.jsonl"]
    again = nightly(shell, "--out", "published")
    assert (again.returncode, again.stdout) == (0, "")


def test_the_second_of_two_nights_ends_at_once(cluster_shell: Any) -> None:
    (cluster_shell.folder / "inbox").mkdir()
    with (cluster_shell.folder / "inbox/.nightly.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = nightly(cluster_shell)
    assert ended.returncode == 3
    assert "another night is working on inbox" in ended.stderr


def test_a_refused_file_stays_in_the_inbox(cluster_shell: Any) -> None:
    (cluster_shell.folder / "inbox").mkdir()
    (cluster_shell.folder / "inbox/empty.jsonl").write_text("\n")
    ended = nightly(cluster_shell)
    assert ended.returncode == 2
    assert "empty.jsonl: the input holds no rows" in ended.stderr
    assert (cluster_shell.folder / "inbox/empty.jsonl").exists()
