"""Fan-out: `each` calls a function for many items, several at a time, since most of each call is waiting for a reply."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

ANSWERS_AHEAD: Final = 2
"""For each thread, at most this many calls of `ask` run ahead of the answer that the caller takes next."""
BYTES_AHEAD: Final = 32 << 20
"""At most this many bytes of answers wait for the caller, beside the answer that the caller takes next."""


def each(
    ask: Callable[[Item], Answer],
    items: Sequence[Item],
    at_once: int,
    *,
    bytes_of: Callable[[Item], int] = lambda _: 0,
) -> Iterator[Answer]:
    """Yield `ask(item)` for each item, in order, with up to `at_once` calls in progress.

    If `ask` raises an error for an item, the error is raised in place of the item's answer. If the caller stops early, `ask`
    may have been called for some later items too, unless `at_once` is 1. `bytes_of` estimates the bytes of an item's answer; by
    default only the number of answers is bounded.
    """
    if at_once == 1 or len(items) < 2:
        yield from map(ask, items)
        return
    waiting: deque[tuple[int, Future[Answer]]] = deque()
    held = 0
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for item in items:
                size = bytes_of(item)
                while waiting and (len(waiting) >= ANSWERS_AHEAD * at_once or held + size > BYTES_AHEAD):
                    freed, future = waiting.popleft()
                    held -= freed
                    yield future.result()
                waiting.append((size, threads.submit(ask, item)))
                held += size
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()
