"""Shows jobs/commands/retention.py: the ids and nothing else on standard output."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import close, reopen
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.publishing import retention
from jobs.settings import Settings

ROW = {"kind": "chat", "prompt": "Hi"}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub"))


@pytest.fixture
def batch_id(tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]) -> str:
    """A published batch, of one cancelled row."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(orjson.dumps(ROW))
    assert main(["enqueue", str(file)], session) == 0
    found = capsys.readouterr().out.strip()
    close(session.store, found, "cancelled")
    assert main(["publish", found], session) == 1
    capsys.readouterr()
    return found


def test_sweep_prints_the_ids_and_a_dry_run_deletes_nothing(
    session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in ((["--dry-run"], "1 batch would be deleted\n"), ([], "1 batch deleted\n")):
        assert main(["sweep", "--older-than", "0h", *options], session) == 0
        assert capsys.readouterr() == (f"{batch_id}\n", message)
    assert main(["sweep", "--older-than", "0h"], session) == 0
    assert capsys.readouterr() == ("", "0 batches deleted\n")


def test_delete_names_what_stays(session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delete", batch_id], session) == 0
    assert capsys.readouterr() == ("", f"{batch_id} is deleted; nightpress usage still counts it\n")
    assert main(["delete", batch_id], session) == 2


@pytest.mark.parametrize(
    "command", [["delete"], ["sweep", "--older-than", "0h", "--dry-run"], ["sweep", "--older-than", "0h"]]
)
def test_outputs_that_were_not_taken_to_their_url_are_named(
    command: list[str], session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, place = tmp_path / "a.jsonl", tmp_path / "a.jsonl" / "out.jsonl"
    file.write_bytes(orjson.dumps(ROW))
    assert main(["enqueue", str(file), "--output-url", str(place)], session) == 0
    batch_id = capsys.readouterr().out.strip()
    close(session.store, batch_id, "cancelled")
    assert main(["publish", batch_id], session) == 1
    capsys.readouterr()
    assert main([*command, *([batch_id] if command == ["delete"] else [])], session) == 0
    ran = capsys.readouterr()
    assert f"{batch_id}: its outputs have not been taken to {place}\n" in ran.err
    assert ran.out == ("" if command == ["delete"] else f"{batch_id}\n")


def test_a_wrong_age_is_refused_with_the_right_forms(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--older-than", "soon"], session) == 2
    assert "36h, 30d or 8w" in capsys.readouterr().err


def test_a_batch_that_is_reopened_meanwhile_keeps_no_other_from_being_swept(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for n in range(3):
        file = tmp_path / f"{n}.jsonl"
        file.write_bytes(orjson.dumps(ROW))
        main(["enqueue", str(file)], session)
        ids.append(capsys.readouterr().out.strip())
        close(session.store, ids[-1], "cancelled")
        main(["publish", ids[-1]], session)
    found = list(retention.find_old_batches(session.store, timedelta(0)))
    reopen(session.store, ids[1])
    monkeypatch.setattr(retention, "find_old_batches", lambda *_, **__: iter(found))
    capsys.readouterr()
    assert main(["sweep", "--older-than", "0h"], session) == 0
    out, err = capsys.readouterr()
    assert out.split() == [ids[0], ids[2]]
    assert f"{ids[1]} is open" in err
    assert "2 batches deleted" in err


def test_the_rest_of_an_interrupted_deletion_is_deleted_by_its_whole_id(
    session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session.store.delete(BatchPaths(batch_id).acceptance)
    for part in (batch_id[:5], f"{batch_id}/.", ""):
        assert main(["delete", part], session) == 2
    assert "no batch" in capsys.readouterr().err
    assert main(["delete", batch_id], session) == 0
    assert session.store.list("batches") == []
