"""Standard output and standard error, as the commands write to them.

A full disk under `results > file` and a reader that went away (`| head`) fail in whatever line of code prints next, or only at
the last flush. So for the time of a command `sys.stdout` is a stream that raises OutputUnavailable for every such fault: the
command ends with one sentence and a status of its own. A message that standard error does not take is dropped, since a message
that cannot be shown must not end the work.
"""

import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from jobs.errors import OutputUnavailable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE})
"""Errors of a place that can take no more: a full disk or quota, a file at its limit, a broken disk, a closed pipe."""


def takes_no_more(error: OSError) -> bool:
    """Whether a write failed because the place can take no more, and not because the user named a wrong place."""
    return error.errno in _FULL


def reason_of(error: OSError) -> str:
    """Return why a write failed, in the words of the system."""
    return error.strerror or str(error) or type(error).__name__


@contextmanager
def checked_streams() -> Iterator[None]:
    """Check every write to standard output within the block. Its end flushes standard output and drops a fault of that flush."""
    streams = sys.stdout, sys.stderr
    sys.stdout = _Output(sys.stdout if sys.stdout is not None else _closed())
    sys.stderr = _Messages(sys.stderr if sys.stderr is not None else _closed())
    try:
        yield
    finally:
        with suppress(OutputUnavailable):  # the command has already failed with this error
            sys.stdout.flush()
        sys.stdout, sys.stderr = streams


def _closed() -> Any:
    """Return a stream in place of one that was closed before the program started (`>&-`)."""
    return io.TextIOWrapper(_Nowhere(), encoding="utf-8", write_through=True)


class _Nowhere(io.RawIOBase):
    """A file that takes nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _Stream:
    """A text or binary stream that handles every OSError of the inner stream's writes in one place."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def buffer(self) -> "_Stream":
        return type(self)(self._inner.buffer)

    def write(self, data: Any) -> int:
        if data == "":  # on a stream without a buffer this would be a write that a full disk refuses
            return 0
        try:
            return int(self._inner.write(data))
        except OSError as error:
            self._failed(error)
            return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._inner.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        raise NotImplementedError


class _Output(_Stream):
    """Standard output. Once a write has failed, the next flush fails too, in case a library has ignored the first error."""

    def __init__(self, inner: Any, faults: list[OutputUnavailable] | None = None) -> None:
        super().__init__(inner)
        self._faults: list[OutputUnavailable] = [] if faults is None else faults

    @property
    def buffer(self) -> "_Output":
        return _Output(self._inner.buffer, self._faults)

    def flush(self) -> None:
        super().flush()
        if self._faults:
            raise self._faults[0]

    def _failed(self, error: OSError) -> None:
        _let_go(self._inner)
        closed = error.errno == errno.EPIPE
        self._faults.append(
            OutputUnavailable(
                "standard output was closed before everything was written"
                if closed
                else f"standard output cannot be written: {reason_of(error)}"
            )
        )
        raise self._faults[-1] from None


class _Messages(_Stream):
    """Standard error."""

    def _failed(self, error: OSError) -> None:
        del error


def _let_go(stream: Any) -> None:
    """Discard the text that is still in a stream's buffers, so that Python's own flush at the exit does not fail again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
