"""A mark: a part of a text that a translation keeps as it is, such as a placeholder, a tag, a link or a piece of code."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """How a mark relates to the other marks of its text."""

    ALONE = "alone"
    """The mark stands for itself and may move."""
    OPENS = "opens"
    """The mark begins something that a later mark ends."""
    CLOSES = "closes"
    """The mark ends what the last open mark began."""
    ORDERED = "ordered"
    """The mark keeps its order among the ordered marks, as `%s %d` must."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark: where it starts and ends in its text, the text itself, and its role. Marks of a text do not overlap."""

    start: int
    end: int
    text: str
    role: Role = Role.ALONE


def apart(found: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return the marks in their order. Of marks that overlap, the first is kept, or the longest of those that start together."""
    kept: list[Mark] = []
    for one in sorted(found, key=lambda mark: (mark.start, -mark.end)):
        if one.end > one.start and (not kept or one.start >= kept[-1].end):
            kept.append(one)
    return tuple(kept)
