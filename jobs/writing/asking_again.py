"""Asking again: how often a kind asks for a text that cannot be published, and how it labels the prompts."""

from typing import Final

TRIES: Final = 3
"""How often a kind asks for one piece of text, the first time included."""


def label_of_try(label: str, number: int) -> str:
    """Return the label of a try's prompt: `post` for try 1, then `post, try 2`."""
    return label if number == 1 else f"{label}, try {number}"
