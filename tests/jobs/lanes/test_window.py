"""Shows jobs/lanes/window.py: how many rows of each batch a lane takes, if the lane is full, and if many batches are open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.batches.batch import Batch
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot
from jobs.lanes.window import LEAST_ROWS, Room, Window
from jobs.settings import Settings

ROWS = 1000
KIB = 1 << 10


def batch(name: str, tenant: str = "a", priority: int = 4) -> Batch:
    return Batch.model_construct(
        batch_id=name, name=name, tenant=tenant, priority=priority, rows=10**6, refused=0, lanes={}, run_key="",
        full_sha256="", created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )  # fmt: skip


def lane(**live: tuple[int, int]) -> LaneSnapshot:
    """Return a lane with these rows of each batch: the number of waiting rows, and the number of leased rows."""
    schedules = {
        name: BatchSchedule(name, 1, 0, False, False, ready, 0, leased, 1) for name, (ready, leased) in live.items()
    }
    ready, leased = (sum(rows[place] for rows in live.values()) for place in (0, 1))
    return LaneSnapshot("m", False, ready, 0, leased, 0, schedules, ())


def settings(**given: Any) -> Settings:
    return Settings(window_rows=ROWS, **given)


FULL = (ROWS, 0)
A, A2, B, URGENT = batch("a"), batch("a2"), batch("b", tenant="b"), batch("u", priority=9)


@pytest.mark.parametrize(
    ("shown", "batches", "one", "rows"),
    [
        pytest.param(lane(), [A], A, ROWS, id="an empty lane takes a window"),
        pytest.param(lane(a=(300, 500)), [A], A, 700, id="what is leased does not wait"),
        pytest.param(lane(a=FULL), [A], A, 0, id="a full one takes no more of a batch that waits"),
        pytest.param(lane(a=FULL), [A, B], B, ROWS // 2, id="another tenant gets its part"),
        pytest.param(lane(a=FULL), [A, A2], A2, ROWS // 2, id="another batch of the tenant gets its part"),
        pytest.param(lane(a=FULL), [A, A2, B], A2, ROWS // 4, id="the batches of a tenant share its part"),
        pytest.param(lane(a=FULL), [A, A2, B], B, ROWS // 2, id="and take nothing of another's"),
        pytest.param(lane(a=FULL), [A, URGENT], URGENT, ROWS, id="each priority has all parts"),
        pytest.param(lane(a=FULL, b=(249, 0)), [A, B], B, 251, id="a part is filled again when half is left"),
        pytest.param(lane(a=FULL, b=(250, 9)), [A, B], B, -250, id="and not before"),
        pytest.param(lane(a=(980, 0)), [A, B], B, ROWS // 2, id="a part is whole although less is left"),
        pytest.param(lane(a=(3 * ROWS, 0)), [A, B], B, ROWS // 2, id="an excess harms nobody"),
        pytest.param(lane(a=FULL), [A, *(batch(f"{n}", f"t{n}") for n in range(99))], batch("0", "t0"), 10, id="many"),
        pytest.param(lane(a=FULL), [A, *(batch(f"{n}") for n in range(999))], batch("0"), LEAST_ROWS, id="very many"),
    ],
)
def test_rows_of_a_batch(shown: LaneSnapshot, batches: Sequence[Batch], one: Batch, rows: int) -> None:
    assert Window(settings(), shown, batches).room(one).rows == rows


def test_a_batch_that_is_fed_to_its_end_has_no_part() -> None:
    shown = lane(a=FULL)
    ended = replace(shown.batches["a"], at_end=True)
    assert Window(settings(), replace(shown, batches={"a": ended}), [A, B]).room(B).rows == ROWS


@pytest.mark.parametrize(
    ("given", "size", "room"),
    [
        pytest.param({}, 64 * KIB * KIB, Room(500, 500 * 16 * KIB), id="as many as would fit inline"),
        pytest.param({"window_bytes": 64 * KIB}, 64 * KIB, Room(4, 64 * KIB), id="no more than the window's bytes"),
        pytest.param({"inline_bytes": 0}, 64 * KIB * KIB, Room(500, 500 * 32), id="by their place"),
        pytest.param({"window_bytes": 64 * KIB, "inline_bytes": KIB * KIB}, 64 * KIB, Room(1, KIB * KIB), id="one"),
    ],
)
def test_bytes_of_a_part(given: Mapping[str, int], size: int, room: Room) -> None:
    assert Window(settings(**given), replace(lane(a=(10, 0)), bytes=size), [A, B]).room(B) == room


def test_many_open_batches_come_to_about_two_windows_and_a_few_rows_of_each() -> None:
    """The sum of waiting rows is checked after the first feeds, and again after rows were claimed and more rows were fed."""
    batches = [batch(f"{n}", f"t{n % 3}") for n in range(1000)]
    live: dict[str, tuple[int, int]] = {}
    for _ in range(3):
        window = Window(settings(), lane(**live), batches)
        for one in batches:
            ready, leased = live.get(one.batch_id, (0, 0))
            room = window.room(one)
            if room.is_left:
                window.take(room)
                live[one.batch_id] = (ready + room.rows, leased)
        rows = [live[one.batch_id][0] for one in batches]
        assert min(rows) >= LEAST_ROWS // 2
        assert sum(rows) <= 2 * ROWS + LEAST_ROWS * len(batches)
        for name in list(live)[:50]:
            live[name] = (0, 0)
