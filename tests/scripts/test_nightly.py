"""Tests those parts of `scripts/nightly.py` that need no fleet."""

import os
import subprocess
import sys
from pathlib import Path

from jobs.batches.batch import Done
from jobs.batches.rounds import close, is_open
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.store.opening import open_store

SCRIPT = Path(__file__).parents[2] / "scripts" / "nightly.py"


def night(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a Redis that does not answer: the batches are made, and the fleet cannot start."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), "inbox", "--out", "published", "--model", "stub", *args],
        cwd=folder,
        env={**os.environ, "NIGHTPRESS_REDIS_URL": "redis://127.0.0.1:1/0", "NIGHTPRESS_STORE_URL": "store"},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_file_of_which_every_row_is_bad_stays_in_the_inbox(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "bad.jsonl").write_text('{"kind": "chat"}\n' * 2)
    ended = night(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert (
        "nightly: bad.jsonl: all 2 rows were refused, nothing was accepted:\n  2 x missing_field, lines 1, 2: "
        in ended.stderr
    )
    assert (inbox / "bad.jsonl").exists()
    assert open_store(str(tmp_path / "store")).list("batches") == []


def test_a_night_takes_fields_from_other_keys(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "rows.jsonl").write_text('{"product": {"title": "Tea"}, "price": 9}\n')
    assert night(tmp_path, "--kind", "article").returncode == 2
    chosen = night(tmp_path, "--kind", "article", "--map", "topic=product.title", "--extra", "metadata")
    assert chosen.returncode == 3  # the fleet cannot start
    assert len(open_store(str(tmp_path / "store")).list("batches")) == 1
    assert night(tmp_path, "--map", "topik=x").returncode == 2


def test_a_night_that_is_started_again_after_its_soft_deadline_goes_on(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    file = inbox / "rows.jsonl"
    file.write_text('{"kind": "chat", "prompt": "Hi?"}\n')
    assert night(tmp_path).returncode == 3
    store = open_store(str(tmp_path / "store"))
    (batch_id,) = store.list("batches")
    close(store, batch_id, "postponed")
    assert isinstance(publish(store, batch_id, prices=Prices()), Done)
    assert is_open(store, batch_id)
    ended = night(tmp_path)
    assert (ended.returncode, file.exists(), (tmp_path / "published").exists()) == (3, True, False)
    close(store, batch_id, "cancelled")
    publish(store, batch_id, prices=Prices())
    ended = night(tmp_path)
    assert (ended.returncode, file.exists(), (tmp_path / "published").exists()) == (1, False, True)
