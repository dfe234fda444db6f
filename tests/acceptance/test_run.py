"""Runs `nightpress run` as a person does: with bad rows, with interruptions, and the same command again."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.published import verify
from jobs.batches.segments.segment import read_outcomes
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.support.ray_clusters import ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

SLOW = '[models.stub]\nengine = "stub"\noptions = { step_s = 0.05, slots = 4 }\n'
QUICK = SLOW.replace("0.05", "0.005")


def chat(n: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "chat", "model": "stub", "prompt": f"Tell me about {n}.", "max_tokens": 20, **fields}


BAD: list[tuple[bytes, str, str | None]] = [
    (b"{not json", "not_json", None),
    (b"[1, 2]", "not_an_object", None),
    (b'{"kind": "chat", "prompt": "\xff"}', "not_utf8", None),
    (json.dumps(chat(1, colour="red")).encode(), "unknown_field", "colour"),
    (b'{"kind": "article", "model": "stub"}', "missing_field", "topic"),
    (json.dumps(chat(1, temperature="hot")).encode(), "wrong_type", "temperature"),
    (json.dumps(chat(1, temperature=9)).encode(), "out_of_range", "temperature"),
    (json.dumps(chat(1, custom_id="first")).encode(), "duplicate_custom_id", "custom_id"),
    (json.dumps(chat(1, kind="sonnet")).encode(), "unknown_kind", "kind"),
    (json.dumps(chat(1, model="gpt-17")).encode(), "unknown_model", "model"),
    (json.dumps(chat(1, prompt="x" * (1 << 20))).encode(), "row_too_large", None),
]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def store_of(shell: Any) -> Store:
    return open_store(str(shell.folder / ".nightpress/store"))


def mixed(shell: Any) -> Path:
    good = [json.dumps(chat(0, custom_id="first")).encode(), json.dumps(chat(2)).encode()]
    path: Path = shell.folder / "mixed.jsonl"
    path.write_bytes(b"\n".join([good[0], *(line for line, _, _ in BAD), good[1]]) + b"\n")
    return path


def test_bad_rows_harm_no_other_row(shell: Any) -> None:
    """Every good row completes. Every bad row becomes an error row with code, message, line and field. The exit status is 1."""
    ended = shell.run("run", str(mixed(shell)), "--out", "out")
    assert ended.returncode == 1, ended.stderr
    completed = lines_of(shell.folder / "out/output.jsonl")
    assert [row["row"] for row in completed] == [0, len(BAD) + 1]
    errors = lines_of(shell.folder / "out/errors.jsonl")
    found = [(row["error"]["code"], row["error"]["line"], row["error"].get("field")) for row in errors]
    assert found == [(code, line, field) for line, (_, code, field) in enumerate(BAD, start=2)]
    assert all(row["error"]["message"] for row in errors)


def test_strict_refuses_the_file_and_leaves_nothing(shell: Any) -> None:
    ended = shell.run("run", str(mixed(shell)), "--out", "out", "--strict")
    assert ended.returncode == 2, ended.stderr
    for line in range(2, len(BAD) + 2):
        assert f"line {line}" in ended.stderr
    assert not list((shell.folder / ".nightpress/store").rglob("*.json*"))
    assert "Traceback" not in ended.stderr


def interrupted_at_half(shell: Any, until: Any, *args: str) -> subprocess.Popen[str]:
    (shell.folder / "nightpress.toml").write_text(SLOW)
    shell.rows([chat(n) for n in range(60)])
    process: subprocess.Popen[str] = shell.start("run", "rows.jsonl", "--out", "out", *args)

    def at_half() -> bool:
        assert process.poll() is None, shell.logs()
        return len(completed_in_segments(shell)) >= 20

    until(at_half, 120, "a third of the rows")
    return process


def completed_in_segments(shell: Any) -> list[tuple[str, int]]:
    """The segment and the row of every completed line."""
    store = store_of(shell)
    found = []
    for batch_id in store.list("batches"):
        for name in store.list(f"batches/{batch_id}/segments"):
            path = f"batches/{batch_id}/segments/{name}"
            found += [(name, line.row) for line in read_outcomes(store, path) if line.status == "completed"]
    return found


def run_to_the_end(shell: Any) -> None:
    """Run the same command again, and require that it completes the batch without repeating a completed row."""
    (shell.folder / "nightpress.toml").write_text(QUICK)
    before = {row for _, row in completed_in_segments(shell)}
    segments_before = {name for name, _ in completed_in_segments(shell)}
    ended = shell.run("run", "rows.jsonl", "--out", "out")
    assert ended.returncode == 0, ended.stderr
    again = {row for name, row in completed_in_segments(shell) if name not in segments_before}
    assert not before & again, "a row that had a completed line was generated again"
    assert [row["row"] for row in lines_of(shell.folder / "out/output.jsonl")] == list(range(60))
    (batch_id,) = store_of(shell).list("batches")
    assert verify(store_of(shell), batch_id) == []


def test_ctrl_c_prints_how_to_continue_and_that_command_does(shell: Any, until: Any) -> None:
    process = interrupted_at_half(shell, until)
    os.killpg(process.pid, signal.SIGINT)
    assert until(lambda: process.poll() is not None, 60, "the run to end")
    assert process.returncode == 130, shell.logs()
    assert "run rows.jsonl --out out" in shell.logs()
    run_to_the_end(shell)
    same = shell.run("run", "rows.jsonl", "--out", "out")
    assert same.returncode == 0
    assert "nothing was generated" in same.stdout
    assert len(store_of(shell).list("batches")) == 1
    assert shell.run("run", "rows.jsonl", "--out", "out", "--again").returncode == 0
    assert len(store_of(shell).list("batches")) == 2


def test_everything_killed_and_the_same_command_continues(shell: Any, until: Any) -> None:
    process = interrupted_at_half(shell, until)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run_to_the_end(shell)


@pytest.mark.faults
def test_more_models_than_cores_are_all_served(shell: Any) -> None:
    """Two cores hold a worker each. The third model gets a worker when one of the other models has no rows left."""
    aliases = ("one", "two", "three")
    (shell.folder / "nightpress.toml").write_text("".join(f'[models.{a}]\nengine = "stub"\n' for a in aliases))
    shell.rows([chat(n, model=alias) for alias in aliases for n in range(3)])
    with ray_cluster(shell.env, num_cpus=2) as cluster:
        shell.env["NIGHTPRESS_RAY_ADDRESS"] = cluster.address
        ended = shell.run("run", "rows.jsonl", "--out", "out", timeout_s=180.0)
    assert ended.returncode == 0, ended.stderr
    assert [row["model"] for row in lines_of(shell.folder / "out/output.jsonl")] == [
        a for a in aliases for _ in range(3)
    ]
    events = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert len([log for log in events if log["event"] == "model.waiting"]) == 1
    assert not [log for log in events if log["event"] in ("batch.reset", "worker.died")]
