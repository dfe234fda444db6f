"""Pinning keeps the thread that steps an engine on one CPU core. Each worker takes a core of its own."""

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from jobs.errors import ModelUnavailable


class Core:
    """A CPU core that this process takes: the first of `cores` that no other process has taken.

    The core stays taken until `free` is called or the process ends.

    Args:
        cores: The numbers of the cores to choose from, in order.
        folder: The folder of the lock files. None: the system's folder for temporary files.

    Raises:
        ModelUnavailable: A core does not exist on this machine, or all cores are taken.
    """

    def __init__(self, cores: Sequence[int], folder: Path | None = None) -> None:
        missing = [core for core in cores if core >= (os.cpu_count() or 1)]
        if missing:
            raise ModelUnavailable(f"options.cores names core {missing[0]}, and this machine has {os.cpu_count()}")
        self._folder = folder or Path(tempfile.gettempdir())
        for core in cores:
            if (lock := self._try_lock(core)) is not None:
                self.number, self._lock = core, lock
                return
        raise ModelUnavailable(
            f"other workers have taken the cores {', '.join(map(str, cores))} of options.cores: name one for each worker"
        )

    def pin(self) -> None:
        """Pin the calling thread to the core.

        Threads that this thread starts afterwards are pinned too. Threads that it started before are not.
        """
        os.sched_setaffinity(0, {self.number})

    def free(self) -> None:
        """Let another process take the core."""
        self._lock.close()

    def _try_lock(self, core: int) -> IO[bytes] | None:
        file = (self._folder / f"nightpress-core-{os.getuid()}-{core}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file
