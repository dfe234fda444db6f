"""Slots are the rows that one worker runs at once. Until a worker of a model has told them, a plan takes a number from here."""

from typing import Final

from jobs.catalog import ModelCard

ASSUMED_SLOTS: Final = 32
"""A worker is taken to run this many rows at once until a worker of its model has told, or the card of its model says."""
STUB_SLOTS: Final = 64
"""The slots of the engine without a model, unless its card says another number."""


def card_slots(card: ModelCard) -> int:
    """Return how many rows a worker of a model runs at once, as the model's card says; 0 if only a worker can tell."""
    slots = card.slots or (card.options.get("slots", STUB_SLOTS) if card.engine == "stub" else 0)
    return slots if isinstance(slots, int) and slots > 0 else 0
