"""Shows workers/fleet/desk/seat.py: one supervisor holds the seat; others may wish, and take it when it is free or silent."""

import pytest

from tests.support.fake_cluster import DeskRoom, holder
from workers.fleet.desk.seat import MEMBER_S, SILENT_S, Orders, Seat, Wish


@pytest.fixture
def room() -> DeskRoom:
    return DeskRoom()


@pytest.fixture
def seat(room: DeskRoom) -> Seat:
    return Seat(holder("a"), room.monotonic)


def test_only_one_supervisor_holds_the_seat(seat: Seat) -> None:
    assert seat.take(holder("b")) == holder("a")
    assert seat.sit("a", {}) == Orders()
    assert seat.sit("b", {}) == Orders(is_lost=True)


def test_a_supervisor_that_is_started_again_has_its_seat_and_its_orders(seat: Seat) -> None:
    seat.order(1)
    assert seat.take(holder("a")) is None
    assert seat.sit("a", {}).stops == 1


def test_a_silent_supervisor_loses_the_seat_to_the_next_that_asks(seat: Seat, room: DeskRoom) -> None:
    seat.sit("a", {})
    room.seconds = SILENT_S - 1
    assert seat.take(holder("b")) == holder("a")
    seat.order(2)
    room.seconds = SILENT_S
    assert seat.take(holder("b")) is None
    assert seat.sit("a", {}).is_lost
    assert seat.sit("b", {}) == Orders(), "an order was for the one that held it then"


def test_wishes_count_as_long_as_their_commands_are_heard_of(seat: Seat, room: DeskRoom) -> None:
    seat.join("b", Wish(("stub",), 3))
    seat.join("c", Wish())
    assert seat.sit("a", {}).wishes == (Wish(("stub",), 3), Wish())
    room.seconds = MEMBER_S - 1
    seat.join("c", Wish())
    room.seconds = MEMBER_S
    assert seat.sit("a", {}).wishes == (Wish(),)
    assert seat.show()["joined"] == 1


def test_who_takes_the_seat_no_longer_stands_by(seat: Seat, room: DeskRoom) -> None:
    seat.join("b", Wish())
    room.seconds = SILENT_S
    seat.join("b", Wish())
    assert seat.take(holder("b")) is None
    assert seat.sit("b", {}).wishes == ()


def test_an_order_to_end_at_once_is_not_taken_back(seat: Seat) -> None:
    for stops in (1, 2, 1):
        seat.order(stops)
    assert seat.sit("a", {}).stops == 2


def test_the_desk_shows_what_was_told_last_and_when(seat: Seat, room: DeskRoom) -> None:
    seat.sit("a", {"state": "working"})
    room.seconds = 12.34
    shown = seat.show()
    assert (shown["holder"]["host"], shown["silent_s"], shown["fleet"]) == ("gpu-1", 12.3, {"state": "working"})
