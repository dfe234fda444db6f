"""Shows workers/fleet/gcs_watch.py: a lost control store is reported, and ends the command before Ray does."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.errors import UnavailableError
from tests.conftest import free_port
from workers.fleet.gcs_watch import LOOK_S, GcsWatch, listens

TIMEOUT_S = 60.0


@dataclass
class Store:
    """A control store that a test can take away, and a clock that the test moves."""

    answers: bool = True
    now: float = 0.0
    left: list[int] = field(default_factory=list)
    watch: GcsWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = GcsWatch(
            "head:6379",
            TIMEOUT_S,
            answers=lambda _: self.answers,
            monotonic=lambda: self.now,
            leave=self.left.append,
        )
        self.watch.look()

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            self.watch.look()


def test_a_store_that_answers_or_is_back_in_time_is_not_lost() -> None:
    store = Store()
    store.passes(1000)
    store.answers = False
    store.passes(50)
    store.watch.check()
    store.answers = True
    store.passes(1)
    store.answers = False
    store.passes(50)
    store.watch.check()
    assert store.left == []


def test_a_store_that_stays_away_is_reported_before_ray_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(answers=True)
    store.answers = False
    store.passes(TIMEOUT_S - 7)
    with pytest.raises(UnavailableError, match=r"head:6379 has not answered for 53 s.*then the same command"):
        store.watch.check()
    assert store.left == [], "there is time to end in an orderly way"
    store.passes(6)
    assert store.left[:1] == [3], "but not for ever"
    assert capsys.readouterr().err == "", "check has reported it"


def test_a_command_that_hangs_in_a_call_is_ended_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.answers = False
    store.passes(TIMEOUT_S - 1)
    assert store.left[:1] == [3]
    assert capsys.readouterr().err.startswith(
        "nightpress: Ray's control store (GCS) at head:6379 has not answered for 58 s"
    )


def test_time_in_which_this_process_stood_still_does_not_count() -> None:
    store = Store()
    store.answers = False
    store.now += 1000
    store.watch.look()
    store.watch.check()
    assert store.left == []


def test_a_store_that_has_never_answered_is_not_lost() -> None:
    store = Store(answers=False)
    store.passes(1000)
    store.watch.check()
    assert store.left == []


def test_it_looks_from_a_thread_until_it_is_closed(until: Callable[..., Any]) -> None:
    looks: list[str] = []

    def answers(address: str) -> bool:
        looks.append(address)
        return True

    watch = GcsWatch("head:6379", TIMEOUT_S, answers=answers).start()
    until(lambda: looks, 10, "a look")
    watch.close()
    assert set(looks) == {"head:6379"}


def test_a_port_that_accepts_connections_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listens(f"127.0.0.1:{server.getsockname()[1]}")
    assert not listens(f"127.0.0.1:{free_port()}")
