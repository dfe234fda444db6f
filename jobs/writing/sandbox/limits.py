"""Limits of a rendering: its steps, its time, and the size of everything that a template makes.

Jinja2's own sandbox keeps a template from Python's internals. It does not keep it from loops without an end, or from texts and
numbers that fill the memory. So the steps of a rendering are counted (the items of loops, calls, included templates), and an
operation whose result would be too large is refused before it begins. Each operation is short then, and the time is looked at in
each step.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from jinja2.exceptions import SecurityError

MAX_SOURCE: Final = 1 << 20
"""The source of a template may have this many characters."""

MAX_TOKENS: Final = 20_000
"""The source of a template may have this many tokens of Jinja2: `{{ topic }}` has three, and a text between two of them is one.
A template is compiled in a tenth of a millisecond for each token; the longest chat templates of models have some thousands.
"""

MAX_STEPS: Final = 500_000
"""A rendering may take this many steps: items of loops, calls and included templates."""

MAX_SECONDS: Final = 5.0
"""A rendering may take this much time of a processor. A prompt takes less than a thousandth of a second."""

MAX_TEXT: Final = 4 << 20
"""The result of a rendering, and each text in it, may have this many characters. A row has at most a quarter of them."""

MAX_ITEMS: Final = 100_000
"""A list or an object that a template makes may have this many items, those of the lists in it included."""

MAX_WIDTH: Final = 1_000
"""The largest number that a template may give to a filter as a width, as a precision, or as a number of columns."""

MAX_BITS: Final = 256
"""An integer that a template computes may have this many bits."""

WIDTHS: Final = frozenset({"batch", "center", "indent", "round", "slice", "tojson", "wordwrap"})
"""Filters whose numbers are widths, precisions or columns."""

_WIDE: Final = re.compile(r"%[^a-zA-Z%]*?(?:\d{4}|\*)")

CONTAINERS: Final = (list, tuple, dict, set)
"""The types of values that hold others."""


class TooMuch(SecurityError):
    """A template takes more steps, time or memory than a template may."""


class _Budget(threading.local):
    steps = 0
    until: float | None = None


_budget = _Budget()
"""What the rendering of each thread has used; no time limit outside of `limited`."""


@contextmanager
def limited() -> Iterator[None]:
    """Limit what is rendered in this block by this thread. Beyond the limits, TooMuch is raised."""
    before = _budget.steps, _budget.until
    _budget.steps, _budget.until = 0, time.thread_time() + MAX_SECONDS
    try:
        yield
    finally:
        _budget.steps, _budget.until = before


def step() -> None:
    """Count one step of a rendering. Raises TooMuch beyond the limits of `limited`."""
    if _budget.until is None:
        return
    _budget.steps += 1
    if _budget.steps > MAX_STEPS:
        raise TooMuch(f"it takes more than {MAX_STEPS:,} steps (items of loops, calls)")
    if time.thread_time() > _budget.until:
        raise TooMuch(f"it takes more than {MAX_SECONDS:g} s")


def check_source(source: str) -> None:
    """Raise TooMuch if the source of a template has too many characters."""
    if len(source) > MAX_SOURCE:
        raise TooMuch(f"it has {len(source):,} characters, and a template may have {MAX_SOURCE:,}")


def counted_tokens(tokens: Iterable[Any]) -> Iterator[Any]:
    """Yield the tokens of a template. Raises TooMuch if there are too many."""
    for count, token in enumerate(tokens, start=1):
        if count > MAX_TOKENS:
            raise TooMuch(
                f"it has more than {MAX_TOKENS:,} tokens (names, signs, texts between expressions): make it shorter"
            )
        yield token


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raise TooMuch if the result of an arithmetic operation would be too large."""
    if operator == "**" and isinstance(left, int) and not (-MAX_BITS <= right <= MAX_BITS and is_small(left)):
        raise TooMuch(f"{left} ** {right} is too large a number" if is_small(left) else "too large a number")
    if operator == "*":
        for value, times in ((left, right), (right, left)):
            if isinstance(value, str) and isinstance(times, int):
                check_text(len(value) * times)
            if isinstance(value, list | tuple) and isinstance(times, int):
                check_items(len(value) * times)
    if operator == "%" and isinstance(left, str):
        check_percents(left, right)


def check_filter(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TooMuch if the result of a filter would be too large."""
    if name in WIDTHS and any(
        isinstance(value, int) and abs(value) > MAX_WIDTH for value in (*args[1:], *kwargs.values())
    ):
        raise TooMuch(f"{name} is given a number beyond {MAX_WIDTH:,}")
    if name == "replace":
        check_replacement(str(args[0]), given(args, kwargs, "old", 1, " "), given(args, kwargs, "new", 2, ""))
    if name == "wordwrap":
        check_text(len(str(args[0])) * len(str(given(args, kwargs, "wrapstring", 3, None) or "\n")))
    if name == "indent":
        width = given(args, kwargs, "width", 1, 4)
        check_text((str(args[0]).count("\n") + 1) * (width if isinstance(width, int) else len(str(width))))
    if name == "format":
        check_percents(str(args[0]), (*args[1:], *kwargs.values()))
    if name == "sum" and not isinstance(given(args, kwargs, "start", 2, 0), int | float):
        raise TooMuch("sum adds numbers only")


def given(args: Sequence[Any], kwargs: Mapping[str, Any], name: str, place: int, default: Any) -> Any:
    """Return an argument that is given by its place or by its name."""
    return kwargs.get(name, args[place] if len(args) > place else default)


def check_text(characters: int) -> None:
    """Raise TooMuch if a text would have too many characters."""
    if characters > MAX_TEXT:
        raise TooMuch(f"a text would have more than {MAX_TEXT:,} characters")


def check_items(items: int) -> None:
    """Raise TooMuch if a list would have too many items."""
    if items > MAX_ITEMS:
        raise TooMuch(f"a list would have more than {MAX_ITEMS:,} items")


def is_small(number: int) -> bool:
    """Whether an integer has no more bits than it may."""
    return number.bit_length() <= MAX_BITS


def check_replacement(text: str, old: Any, new: Any) -> None:
    """Raise TooMuch if the text would be too long with `new` for each `old`."""
    check_text(len(text) + text.count(str(old)) * len(str(new)))


def check_percents(text: str, values: Any) -> None:
    """Raise TooMuch if a text that is formatted by % would be too long."""
    if _WIDE.search(text):
        raise TooMuch(f"a width beyond {MAX_WIDTH - 1}")
    check_places(text.count("%"), values)


def check_places(places: int, values: Any) -> None:
    """Raise TooMuch if a text in which the values stand at so many places could be far too long."""
    check_text(places * weight(values) // 16)


def stepped(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items, and count a step for each."""
    for item in items:
        step()
        yield item


def weighed(value: Any) -> Any:
    """Return the value. Raises TooMuch if it is too large."""
    if isinstance(value, int) and not is_small(value):
        raise TooMuch(f"a number would have more than {MAX_BITS} bits")
    weight(value)
    return value


def weight(value: Any) -> int:
    """Return the number of characters in a value. Raises TooMuch if it holds too many characters or items."""
    if isinstance(value, str):
        check_text(len(value))
        return len(value)
    if not isinstance(value, CONTAINERS):
        return 1
    items, characters, waiting = 0, 0, [value]
    while waiting:
        one = waiting.pop()
        for inner in (*one, *one.values()) if isinstance(one, dict) else one:
            items += 1
            characters += len(inner) if isinstance(inner, str) else 1
            if isinstance(inner, CONTAINERS):
                waiting.append(inner)
            if items > MAX_ITEMS or characters > MAX_TEXT:
                check_items(items)
                check_text(characters)
    return characters
