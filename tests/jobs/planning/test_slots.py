"""Shows jobs/planning/slots.py: how many rows a worker runs at once, before one has told."""

import pytest

from jobs.catalog import SHIPPED, ModelCard
from jobs.planning.slots import STUB_SLOTS, card_slots
from workers.engines.stub.engine import StubOptions


@pytest.mark.parametrize(
    ("card", "slots"),
    [
        pytest.param(ModelCard(slots=8), 8, id="its own number"),
        pytest.param(ModelCard(), 0, id="what its worker finds"),
        pytest.param(ModelCard(options={"slots": 9}), 0, id="an option of another engine"),
        pytest.param(ModelCard(engine="stub", options={"slots": 9}), 9, id="the stub's option"),
        pytest.param(ModelCard(engine="stub", slots=8, options={"slots": 9}), 8, id="its own number before the option"),
        pytest.param(ModelCard(engine="stub", options={"slots": "many"}), 0, id="an option that is no number"),
        pytest.param(SHIPPED["stub"], STUB_SLOTS, id="the stub's usual number"),
    ],
)
def test_a_card_says_the_slots_of_a_worker(card: ModelCard, slots: int) -> None:
    assert card_slots(card) == slots


def test_the_stub_has_its_usual_number_of_slots() -> None:
    assert StubOptions().slots == STUB_SLOTS
