"""Concurrency: one question about many things, asked of several at a time, since most of the time is waiting for answers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def each(ask: Callable[[Item], Answer], items: Sequence[Item], at_once: int) -> Iterator[Answer]:
    """What `ask` gives of each item, in order, `at_once` at a time; what it raises is raised in its place.

    Whoever stops early has asked about some that come later.
    """
    if at_once == 1 or len(items) < 2:
        yield from map(ask, items)
        return
    with ThreadPoolExecutor(at_once) as threads:
        yield from threads.map(ask, items)
