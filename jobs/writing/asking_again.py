"""Asking again where what came cannot be published: how often, and what the prompts are called."""

from typing import Final

TRIES: Final = 3


def tried(label: str, tries: int) -> str:
    """The label of the prompt of a try, from 1."""
    return label if tries == 1 else f"{label}, try {tries}"
