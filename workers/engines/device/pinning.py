"""Keeps the thread that steps an engine on a core of its own, so that neither another worker nor its own helpers take it away."""

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from jobs.errors import ModelUnavailable


class Core:
    """One of some cores of this machine, until it is freed or the process ends: each who asks takes another.

    Raises:
        ModelUnavailable: There is no such core, or others have taken them all.
    """

    def __init__(self, cores: Sequence[int], folder: Path | None = None) -> None:
        missing = [core for core in cores if core >= (os.cpu_count() or 1)]
        if missing:
            raise ModelUnavailable(f"options.cores names core {missing[0]}, and this machine has {os.cpu_count()}")
        self._folder = folder or Path(tempfile.gettempdir())
        for core in cores:
            if (lock := self._taken(core)) is not None:
                self.number, self._lock = core, lock
                return
        raise ModelUnavailable(
            f"other workers have taken the cores {', '.join(map(str, cores))} of options.cores: name one for each worker"
        )

    def pin(self) -> None:
        """Keep the calling thread there. Threads that it starts from now on stay there too; those that it has started do not."""
        os.sched_setaffinity(0, {self.number})

    def free(self) -> None:
        """Let another take it."""
        self._lock.close()

    def _taken(self, core: int) -> IO[bytes] | None:
        file = (self._folder / f"nightpress-core-{os.getuid()}-{core}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file
