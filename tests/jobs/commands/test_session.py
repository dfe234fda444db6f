"""Shows jobs/commands/session.py: lines on a narrow terminal, and the same lines in a pipe."""

import io
from typing import Any

import pytest
from rich.console import Console

from jobs.commands.session import Session

PATH = "/a/very/long/path/that/no/terminal/of/forty/columns/holds"
LINE = f"  nothing is here, and what is to be done about it stands in {PATH}"


def said(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> list[str]:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    session = Session()
    session.__dict__["out"] = Console(file=stream, force_terminal=terminal, width=40)
    session.write(LINE)
    session.write_json({"key": "word " * 20})
    return stream.getvalue().splitlines()


def test_lines_are_broken_between_words_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    *shown, json = said(monkeypatch, terminal=True)
    assert len(shown) > 1
    assert " ".join(part.strip() for part in shown) == LINE.strip()
    assert f"    {PATH}" in shown, "a path can be copied"
    assert all(len(part) <= 40 for part in shown if PATH not in part)
    assert json.startswith('{"key"'), "what a program reads is never broken"
    assert said(monkeypatch, terminal=False)[0] == LINE


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
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **variable}.items():
        monkeypatch.setenv(name, value)
    stream: Any = Stream()
    monkeypatch.setattr("sys.stdout", stream)
    Session().out.print("word", style="red")
    assert ("\x1b[31m" in stream.getvalue()) is coloured
