"""Files on the local disk that people are given: each appears whole or not at all, in place of what stood there."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Write a file anew. Raises OSError. Any number may do so at once: the last to end decides."""
    partial = path.with_name(f".nightpress-{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()
