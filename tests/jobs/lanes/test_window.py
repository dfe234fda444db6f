"""Shows jobs/lanes/window.py: how many rows of each batch a lane takes, if the lane is full, and if many batches are open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.batches.batch import Batch
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot
from jobs.lanes.window import ALLOCATION_ROWS, LEAST_ROWS, Room, Window
from jobs.settings import Settings

ROWS = 1000
KIB = 1 << 10


def batch(name: str, tenant: str = "a", priority: int = 4) -> Batch:
    return Batch(
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
A, B, URGENT = batch("a"), batch("b", tenant="b"), batch("u", priority=9)


@pytest.mark.parametrize(
    ("shown", "batches", "one", "rows"),
    [
        pytest.param(lane(), [A], A, ROWS, id="an empty lane takes a window"),
        pytest.param(lane(a=(300, 500)), [A], A, 700, id="what is leased does not wait"),
        pytest.param(lane(a=(ROWS, 0)), [A], A, 0, id="a full one takes no more of a batch that waits"),
        pytest.param(lane(a=FULL), [A, B], B, ALLOCATION_ROWS, id="another tenant gets an allocation"),
        pytest.param(lane(a=FULL), [A, URGENT], URGENT, ALLOCATION_ROWS, id="another priority gets an allocation"),
        pytest.param(
            lane(a=FULL, u=(0, 64)), [A, URGENT], URGENT, ALLOCATION_ROWS, id="the next when the first is claimed"
        ),
        pytest.param(lane(a=FULL, u=(1, 64)), [A, URGENT], URGENT, -1, id="and not before"),
        pytest.param(lane(a=(980, 0)), [A, B], B, ALLOCATION_ROWS, id="an allocation is whole although less is left"),
        pytest.param(lane(a=(3 * ROWS, 0)), [A, batch("a2")], batch("a2"), LEAST_ROWS, id="few beyond a tenant's part"),
        pytest.param(lane(a=(3 * ROWS, 0)), [A, B], B, ALLOCATION_ROWS, id="an excess harms no other tenant"),
        pytest.param(
            lane(a=(3 * ROWS, 0)),
            [A, URGENT],
            URGENT,
            ALLOCATION_ROWS,
            id="an excess harms no other priority",
        ),
        pytest.param(
            lane(a=FULL), [A, *(batch(f"{n}", f"t{n}") for n in range(99))], batch("0", "t0"), 20, id="equal parts"
        ),
    ],
)
def test_rows_of_a_batch(shown: LaneSnapshot, batches: Sequence[Batch], one: Batch, rows: int) -> None:
    assert Window(settings(), shown, batches).room(one).rows == rows


@pytest.mark.parametrize(
    ("given", "size", "room"),
    [
        pytest.param(
            {}, 64 * KIB * KIB, Room(ALLOCATION_ROWS, ALLOCATION_ROWS * 16 * KIB), id="as many as would fit inline"
        ),
        pytest.param({"window_bytes": 64 * KIB}, 64 * KIB, Room(4, 64 * KIB), id="no more than the window's bytes"),
        pytest.param(
            {"inline_bytes": 0}, 64 * KIB * KIB, Room(ALLOCATION_ROWS, ALLOCATION_ROWS * 32), id="by their place"
        ),
        pytest.param({"window_bytes": 64 * KIB, "inline_bytes": KIB * KIB}, 64 * KIB, Room(1, KIB * KIB), id="one"),
    ],
)
def test_bytes_of_an_allocation(given: Mapping[str, int], size: int, room: Room) -> None:
    assert Window(settings(**given), replace(lane(a=(10, 0)), bytes=size), [A, B]).room(B) == room


def test_many_open_batches_come_to_about_two_windows_and_a_few_rows_of_each() -> None:
    """This also holds after rows of these batches are claimed and more rows are fed."""
    batches = [batch(f"{n}", f"t{n % 3}") for n in range(1000)]
    live: dict[str, tuple[int, int]] = {}
    for _ in range(3):
        window = Window(settings(), lane(**live), batches)
        for one in batches:
            ready, leased = live.get(one.batch_id, (0, 0))
            room = window.room(one)
            if room.is_left:
                window.take(one, room)
                live[one.batch_id] = (ready + room.rows, leased)
        rows = [live[one.batch_id][0] for one in batches]
        assert min(rows) >= LEAST_ROWS
        assert sum(rows) <= 3 * ROWS + LEAST_ROWS * len(batches)
        for name in list(live)[:50]:
            live[name] = (0, 0)
