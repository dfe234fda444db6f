"""Labels as rows give them: names that a model scores, on one line, each unlike the others."""

import unicodedata
from collections.abc import Sequence
from typing import Final

LABELS: Final = ("positive", "negative")
"""The labels of a request that gives none."""

SENTIMENTS: Final = frozenset({"positive", "negative", "neutral", "mixed"})
"""Labels that are a sentiment, so that the prompt may name what is asked for."""


def tidy(label: str) -> str:
    """Return a label without white space at its ends, and with one space for each white space within it."""
    return " ".join(label.split())


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels, each tidied.

    Raises:
        ValueError: A label has no visible character, or is another one except for case, width or white space.
    """
    found: dict[str, str] = {}
    for n, given in enumerate(labels, 1):
        label = tidy(given)
        if not any(unicodedata.category(character)[0] not in "CZM" for character in label):
            raise ValueError(f"label {n} is empty: give it a name, or remove it")
        key = tidy(unicodedata.normalize("NFKC", label)).casefold()
        if key in found:
            raise ValueError(f"the labels {found[key]!r} and {label!r} are the same: remove one of them")
        found[key] = label
    return tuple(found.values())
