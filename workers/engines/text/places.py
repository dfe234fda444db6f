"""Finds the places of a mark: of several tokens among tokens, or of characters in a text."""

from collections.abc import Sequence

from workers.engines.text.reasoning_forms import Ids


def places_of(tokens: Sequence[int], ids: Ids, start: int) -> list[int]:
    """Return every place from `start` on where the tokens continue with `ids`."""
    found = []
    while (at := place_of(tokens, ids, start)) is not None:
        found.append(at)
        start = at + 1
    return found


def place_of(tokens: Sequence[int], ids: Ids, start: int = 0) -> int | None:
    """Return the first place from `start` on where the tokens continue with `ids`; None if there is none."""
    while True:
        try:
            at = tokens.index(ids[0], start)
        except ValueError:
            return None
        if tuple(tokens[at : at + len(ids)]) == ids:
            return at
        start = at + 1


def positions_of(text: str, mark: str, start: int) -> list[int]:
    """Return every position from `start` on where the text continues with `mark`."""
    found = []
    while (at := text.find(mark, start)) >= 0:
        found.append(at)
        start = at + 1
    return found
