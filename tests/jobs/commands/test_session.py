"""Shows jobs/commands/session.py: lines on a narrow terminal and in a pipe, and the names of batches."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from jobs.commands.session import Session
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

PATH = "/a/very/long/path/that/no/terminal/of/forty/columns/holds"
LINE = f"  nothing is here, and what is to be done about it stands in {PATH}"


class Stream(io.StringIO):
    """A text stream that may pass for a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def printed(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> list[str]:
    stream = Stream(terminal=terminal)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "40")
    session = Session()
    session.write(LINE)
    session.write_json({"key": "word " * 20})
    return stream.getvalue().splitlines()


def test_lines_are_broken_between_words_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    *shown, json = printed(monkeypatch, terminal=True)
    assert len(shown) > 1
    assert " ".join(part.strip() for part in shown) == LINE.strip()
    assert f"    {PATH}" in shown, "a path can be copied"
    assert all(len(part) <= 40 for part in shown if PATH not in part)
    assert json.startswith('{"key"'), "what a program reads is never broken"
    assert printed(monkeypatch, terminal=False)[0] == LINE


@pytest.mark.parametrize(
    ("variable", "terminal", "coloured"),
    [
        pytest.param({}, True, True, id="terminal"),
        pytest.param({"NO_COLOR": "1"}, True, False, id="NO_COLOR"),
        pytest.param({}, False, False, id="not a terminal"),
    ],
)
def test_colours_only_on_a_terminal_that_wants_them(
    variable: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **variable}.items():
        monkeypatch.setenv(name, value)
    stream = Stream(terminal=terminal)
    monkeypatch.setattr("sys.stdout", stream)
    Session().out.print("word", style="red")
    assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_a_batch_may_be_named_by_the_beginning_of_its_id(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept("night-1a")
    shelf.accept("night-2b")
    assert nightpress("status", "night-2", "--json").json()["batches"][0]["id"] == "night-2b"
    ran = nightpress("status", "night")
    assert ran.status == 2
    assert "2 batches begin with 'night'" in ran.err
