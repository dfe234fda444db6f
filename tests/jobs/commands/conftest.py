"""Calls of the command line in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.fixture(autouse=True)
def _logs_of_a_command(logs_of_a_command: None) -> None:
    """Leave the logs as a command finds them, for every test of a command."""


@pytest.fixture
def nightpress(
    shelf: Shelf, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Runs a command on the shelf's store and clock; without a queue unless one is given."""
    monkeypatch.chdir(tmp_path)  # away from any nightpress.toml

    def run(*args: str, **given: Any) -> Ran:
        settings = Settings(store_url=str(tmp_path / "store"))
        status = main(args, Session(settings, clock=shelf.clock, **given))
        out, err = capsysbinary.readouterr()
        return Ran(status, out.decode(), err.decode())

    return run


@pytest.fixture
def night(shelf: Shelf) -> Shelf:
    """A published batch `night-1`: rows 0 and 3 completed, row 2 failed after a try, row 1 was refused."""
    shelf.accept(rows=4, refused=[1])
    shelf.write("night-1", [shelf.completed(3), shelf.failed(2, final=False)])
    shelf.write("night-1", [shelf.failed(2), shelf.completed(0)])
    shelf.publish()
    return shelf
