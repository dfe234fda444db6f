"""Interrupts: Ctrl-C and SIGTERM call a function while a block runs, so that a command can drain its workers."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def on_interrupt(interrupt: Callable[[int], None]) -> Iterator[None]:
    """On SIGINT or SIGTERM during the block, call `interrupt` with the signal's number.

    The earlier handlers are put back after the block.
    """

    def handle(number: int, _: FrameType | None) -> None:
        interrupt(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
