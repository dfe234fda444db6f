"""Ctrl-C and SIGTERM as a request to drain, for as long as a block lasts."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def draining(interrupt: Callable[[int], None]) -> Iterator[None]:
    """Call `interrupt` with the signal's number on SIGINT and SIGTERM, in place of what they did before."""

    def handle(number: int, _: FrameType | None) -> None:
        interrupt(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
