"""Shows jobs/commands/retention.py: the ids and nothing else on standard output."""

import io
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import close, reopen
from jobs.client import Client
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
    """A published batch of one cancelled row."""
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
    for options, message in ((["--dry-run"], "1 batch would be deleted\n"), (["--yes"], "1 batch deleted\n")):
        assert main(["sweep", "--older-than", "0h", *options], session) == 0
        assert capsys.readouterr() == (f"{batch_id}\n", message)
    assert main(["sweep", "--older-than", "0h", "--yes"], session) == 0
    assert capsys.readouterr() == ("", "0 batches deleted\n")


def test_delete_names_what_stays(session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delete", batch_id, "--yes"], session) == 0
    assert capsys.readouterr() == ("", f"{batch_id} is deleted; nightpress usage still counts it\n")
    assert main(["delete", batch_id, "--yes"], session) == 2


@pytest.fixture
def undelivered(session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, Path]:
    """A published batch whose outputs could not be copied to their URL, and this URL."""
    file, place = tmp_path / "b.jsonl", tmp_path / "b.jsonl" / "out.jsonl"
    file.write_bytes(orjson.dumps(ROW))
    assert main(["enqueue", str(file), "--output-url", str(place)], session) == 0
    batch_id = capsys.readouterr().out.strip()
    close(session.store, batch_id, "cancelled")
    assert main(["publish", batch_id], session) == 3
    assert f"its outputs have not been taken to {place}; a fleet tries again" in capsys.readouterr().err
    return batch_id, place


@pytest.mark.parametrize("option", ["--dry-run", "--yes"])
def test_a_sweep_spares_and_names_a_batch_whose_outputs_were_not_taken_to_their_url(
    option: str, session: Session, batch_id: str, undelivered: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    owing, place = undelivered
    assert main(["sweep", "--older-than", "0h", option], session) == 0
    ran = capsys.readouterr()
    assert f"{owing} stays: its outputs have not been taken to {place}\n" in ran.err
    assert f"nightpress delete {owing}\n" in ran.err
    assert ran.out == f"{batch_id}\n"
    assert session.store.exists(BatchPaths(owing).acceptance)


def test_delete_names_outputs_that_were_not_taken_to_their_url(
    session: Session, undelivered: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    owing, place = undelivered
    assert main(["delete", owing, "--yes"], session) == 0
    assert f"{owing}: its outputs have not been taken to {place}\n" in capsys.readouterr().err


class Terminal(io.StringIO):
    """A terminal into which somebody has typed an answer."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", ["delete", "sweep"])
@pytest.mark.parametrize(
    ("answer", "status"), [("y\n", 0), (" YES \n", 0), ("n\n", 2), ("\n", 2), ("", 2), ("yeah\n", 2)]
)
def test_a_deletion_asks_at_a_terminal(
    command: str, answer: str, status: int, session: Session, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", error)
    given = [batch_id] if command == "delete" else ["--older-than", "0h"]
    assert main([command, *given], session) == status
    assert error.getvalue().startswith(f"Delete {batch_id if command == 'delete' else '1 batch'}? [y/N] ")
    assert session.store.exists(BatchPaths(batch_id).acceptance) == (status != 0)


@pytest.mark.parametrize("command", ["delete", "sweep"])
def test_a_script_must_say_yes(
    command: str, session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *([batch_id] if command == "delete" else ["--older-than", "0h"])], session) == 2
    assert "add --yes" in capsys.readouterr().err
    assert session.store.exists(BatchPaths(batch_id).acceptance)


def test_a_batch_that_another_command_deletes_meanwhile_is_no_fault(
    session: Session, batch_id: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_meanwhile(batch: str) -> bool:
        retention.delete_batch(session.store, batch)
        return Client.delete(session.client, batch)

    monkeypatch.setattr(session.client, "delete", deleted_meanwhile)
    assert main(["delete", batch_id, "--yes"], session) == 0
    assert "was deleted by another command at this moment" in capsys.readouterr().err


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
    assert main(["sweep", "--older-than", "0h", "--yes"], session) == 0
    out, err = capsys.readouterr()
    assert out.split() == [ids[0], ids[2]]
    assert f"{ids[1]} is open" in err
    assert "2 batches deleted" in err


def test_the_rest_of_an_interrupted_deletion_is_deleted_by_its_whole_id(
    session: Session, batch_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session.store.delete(BatchPaths(batch_id).acceptance)
    for part in (batch_id[:5], f"{batch_id}/.", ""):
        assert main(["delete", part, "--yes"], session) == 2
    assert "no batch" in capsys.readouterr().err
    assert main(["delete", batch_id, "--yes"], session) == 0
    assert session.store.list("batches") == []
