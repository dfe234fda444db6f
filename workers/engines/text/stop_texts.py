"""Where a stop text cuts a completion; the same for every engine."""

from collections.abc import Sequence


def stop_at(text: str, stop: Sequence[str], floor: int = 0) -> int | None:
    """Where the first stop text begins that ends after `floor` characters; None where there is none."""
    found = (text.find(one, max(0, floor - len(one) + 1)) for one in stop if one)
    return min((place for place in found if place >= 0), default=None)
