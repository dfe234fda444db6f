"""Asking again: how often a kind asks anew for text that cannot be published, and what it labels those prompts."""

from typing import Final

TRIES: Final = 3
"""How often a kind asks for one piece of text, the first time included."""


def label_of_try(label: str, number: int) -> str:
    """The label of the prompt of a try, counted from 1: `post`, then `post, try 2`."""
    return label if number == 1 else f"{label}, try {number}"
