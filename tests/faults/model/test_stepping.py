"""Tests the stepping itself: a streamed file under each fate of its link call, and a queue that uses the given time."""

from pathlib import Path

import pytest
import redis

from jobs.errors import StoreUnavailable
from tests.faults.model.stepping import Fate, Gate, Killed, SteppedQueue, SteppedStore
from tests.support.lane import LANE, ME, fed, row


@pytest.mark.parametrize(
    ("fates", "is_there", "error"),
    [
        pytest.param(["made"], True, None, id="it is made"),
        pytest.param(["resent", "made"], True, None, id="it is made twice"),
        pytest.param(["resent", "dies"], True, Killed, id="the process dies before it is made again"),
        pytest.param(["fails after"], True, StoreUnavailable, id="its reply is lost"),
        pytest.param(["fails"], False, StoreUnavailable, id="it is away"),
        pytest.param(["dies"], False, Killed, id="the process dies before it"),
    ],
)
def test_a_streamed_file_exists_from_its_link_on(
    tmp_path: Path, fates: list[Fate], is_there: bool, error: type[BaseException] | None
) -> None:
    gate = Gate()
    store = SteppedStore(str(tmp_path), gate, lambda _, __: None, lambda _, __: None)

    def write() -> None:
        with store.writer("a/file") as file:
            file.write(b"all of it")

    action = gate.start(write)
    action.step("made")
    assert action.at == "link a/file"
    assert store.list("a") == []
    for fate in fates:
        action.step(fate)
    assert action.over
    assert (store.list("a") == ["file"] and store.read("a/file") == b"all of it") is is_there
    assert type(action.error) is (error or type(None))


def test_a_queue_that_is_given_the_time_never_asks_the_server(client: redis.Redis) -> None:
    now_ms = [1_000_000]
    queue = SteppedQueue(client, 3, Gate(), lambda _: None, lambda: now_ms[0])
    fed(queue, [row(0)])
    (first,) = queue.claim(LANE, "c-1", 1, 5_000, ME).jobs
    now_ms[0] += 4_999
    assert queue.beat(LANE, [], 5_000, ME).lost == set()
    assert queue.claim(LANE, "c-2", 1, 5_000, ME).jobs == []
    now_ms[0] += 1
    (again,) = queue.claim(LANE, "c-3", 1, 5_000, ME).jobs
    assert again.lost == (first.lease,)
