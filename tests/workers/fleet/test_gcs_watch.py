"""Shows workers/fleet/gcs_watch.py: a control store that is lost is said, and ends the command before Ray does."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.errors import UnavailableError
from tests.conftest import free_port
from workers.fleet.gcs_watch import LOOK_S, ControlStore, listens

PATIENCE_S = 60.0


@dataclass
class Cluster:
    """A control store that a test takes away, and the time."""

    answers: bool = True
    now: float = 0.0
    left: list[int] = field(default_factory=list)
    store: ControlStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = ControlStore(
            "head:6379",
            PATIENCE_S,
            answers=lambda _: self.answers,
            monotonic=lambda: self.now,
            leave=self.left.append,
        )
        self.store.look()

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            self.store.look()


def test_one_that_answers_or_is_back_in_time_is_not_lost() -> None:
    cluster = Cluster()
    cluster.passes(1000)
    cluster.answers = False
    cluster.passes(50)
    cluster.store.check()
    cluster.answers = True
    cluster.passes(1)
    cluster.answers = False
    cluster.passes(50)
    cluster.store.check()
    assert cluster.left == []


def test_one_that_stays_away_is_said_before_ray_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(answers=True)
    cluster.answers = False
    cluster.passes(PATIENCE_S - 7)
    with pytest.raises(UnavailableError, match=r"head:6379 has not answered for 53 s.*then the same command"):
        cluster.store.check()
    assert cluster.left == [], "there is time to end in an orderly way"
    cluster.passes(6)
    assert cluster.left[:1] == [3], "but not for ever"
    assert capsys.readouterr().err == "", "it was said"


def test_a_command_that_is_held_up_says_so_and_ends_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster()
    cluster.answers = False
    cluster.passes(PATIENCE_S - 1)
    assert cluster.left[:1] == [3]
    assert capsys.readouterr().err.startswith("nightpress: Ray's control store at head:6379 has not answered for 58 s")


def test_a_process_that_stood_still_itself_does_not_judge() -> None:
    cluster = Cluster()
    cluster.answers = False
    cluster.now += 1000
    cluster.store.look()
    cluster.store.check()
    assert cluster.left == []


def test_one_that_cannot_be_reached_from_here_is_not_judged() -> None:
    cluster = Cluster(answers=False)
    cluster.passes(1000)
    cluster.store.check()
    assert cluster.left == []


def test_it_looks_from_a_thread_until_it_is_closed(until: Callable[..., Any]) -> None:
    looks: list[str] = []

    def answers(address: str) -> bool:
        looks.append(address)
        return True

    store = ControlStore("head:6379", PATIENCE_S, answers=answers).start()
    until(lambda: looks, 10, "a look")
    store.close()
    assert set(looks) == {"head:6379"}


def test_whoever_takes_connections_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listens(f"127.0.0.1:{server.getsockname()[1]}")
    assert not listens(f"127.0.0.1:{free_port()}")
