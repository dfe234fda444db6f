"""Shows workers/commands/detached.py where no cluster is joined: what is refused, and how `work status` shows a fleet."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jobs import logs
from jobs.commands.cli import main
from jobs.errors import RequestError
from jobs.settings import Settings
from tests.support.fake_cluster import DeskRoom, holder
from workers.commands import detached
from workers.fleet.desk.seat import Seat, Wish


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), redis_url="redis://127.0.0.1:1/0", ray_address="local")


def test_a_detached_fleet_needs_a_redis_and_a_cluster_that_outlive_its_command(
    settings: Settings, redis_url: str
) -> None:
    with pytest.raises(
        RequestError, match="--detach needs a Redis that outlives this command: set NIGHTPRESS_REDIS_URL"
    ):
        detached.detach(settings.model_copy(update={"redis_url": None}), (), None)
    there = Settings(store_url=settings.store_url, redis_url=redis_url, ray_address="local")
    with pytest.raises(
        RequestError, match="a Ray cluster that outlives this command: start one with `ray start --head`"
    ):
        detached.detach(there, (), None)


def test_an_unknown_model_is_refused_before_anything_is_joined(settings: Settings) -> None:
    with pytest.raises(RequestError, match="unknown model 'gone'"):
        detached.detach(settings, ("gone",), None)


@pytest.mark.parametrize("call", [detached.status, lambda settings: detached.stop(settings, now=False)])
def test_without_a_cluster_there_is_no_fleet_to_look_at(settings: Settings, call: Any) -> None:
    with pytest.raises(RequestError, match="a Ray cluster that outlives this command"):
        call(settings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stop --workers 2", "work stop takes no --workers"),
        ("status --until-empty", "work status takes no --until-empty"),
        ("--now", "--now goes with nightpress work stop"),
        ("status --now", "--now goes with nightpress work stop"),
        ("stop --json", "--json goes with nightpress work status"),
        ("--detach --until-empty", "do not go together"),
        ("halt", "Invalid value"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["work", *words.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("form", ["auto", "json"])
@pytest.mark.parametrize("words", [["work", "status"], ["work", "stop"], ["work", "--detach"]])
def test_without_a_terminal_a_fault_is_plain_text_as_of_other_commands(
    words: list[str], form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("NIGHTPRESS_", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NIGHTPRESS_STORE_URL", str(tmp_path / "store"))
    monkeypatch.setenv("NIGHTPRESS_RAY_ADDRESS", "local")
    monkeypatch.setenv("NIGHTPRESS_LOG_FORMAT", form)
    monkeypatch.chdir(tmp_path)
    try:
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
    finally:
        logs.configure("info", "auto")
    if form == "json":
        assert json.loads(line)["event"] == "command.failed"
    else:
        assert line.startswith("nightpress: ")


def test_the_status_shows_who_runs_the_fleet_and_what_each_model_has() -> None:
    room = DeskRoom()
    seat = Seat(holder("a", "detached"), room.monotonic)
    figures = {"rows": 120, "planned": 3, "asked": 3, "up": 2, "loaded": 1}
    seat.sit("a", {"state": "working", "models": {"stub": figures}})
    assert list(detached.status_lines(seat.show())) == [
        "a detached supervisor on gpu-1 (process 7), since 2026-12-01T22:00:00+00:00",
        "stub: 2 workers of 3 asked for, 1 loaded, 120 rows to do",
    ]
    seat.order(1)
    seat.join("b", Wish())
    room.seconds = 9
    shown = list(detached.status_lines(seat.show()))
    assert shown[1:4] == [
        "it is stopping",
        "nothing was heard of it for 9 s",
        "1 more of these commands stand by",
    ]
