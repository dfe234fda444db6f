"""Asking again: how often a kind asks for a text that cannot be published, and how it labels the prompts."""

from typing import Final

TRIES: Final = 3
"""A kind asks for one text at most this many times, the first time included."""


def label_of_try(label: str, number: int) -> str:
    """Return the label of a try's prompt: `post` for try 1, `post, try 2` for try 2."""
    return label if number == 1 else f"{label}, try {number}"
