"""Shortens the words of an output for a finding that quotes them."""

from typing import Final

LONGEST: Final = 80
"""A finding shows at most this many characters of an output."""


def shortened(words: str) -> str:
    """Return words on one line, and only the first of them if there are many."""
    line = " ".join(words[: LONGEST * 4].split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()}…"
