"""Plots of the page: bars whose sizes the server computes, and which templates draw as SVG without any text in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

WIDTH: Final = 100.0
HEIGHT: Final = 40.0
"""The size of a plot in its own units. A browser stretches it to the width of the page."""

GAP: Final = 0.2
"""The share of a bar's place that is left free between bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its name, its value, and where it stands in the plot."""

    name: str
    value: int
    x: float
    y: float
    width: float
    height: float


def columns(values: Mapping[str, int]) -> Sequence[Bar]:
    """Return upright bars beside each other. The highest value has the whole height."""
    most = max(values.values(), default=0)
    place = WIDTH / max(1, len(values))
    made = []
    for number, (name, value) in enumerate(values.items()):
        height = HEIGHT * value / most if most else 0.0
        width, left = place * (1 - GAP), place * (number + GAP / 2)
        made.append(Bar(name, value, round(left, 3), round(HEIGHT - height, 3), round(width, 3), round(height, 3)))
    return made


def shares(values: Mapping[str, int]) -> Mapping[str, float]:
    """Return the length of a lying bar for each value, where the largest value has the whole width."""
    most = max(values.values(), default=0)
    return {name: round(WIDTH * value / most, 3) if most else 0.0 for name, value in values.items()}


def each_day(values: Mapping[str, int], first: date, last: date) -> Mapping[str, int]:
    """Return a value for each day from the first to the last; 0 for a day that has none."""
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    return {day: values.get(day, 0) for day in days}
