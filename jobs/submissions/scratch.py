"""Scratch folders of processes that may be killed: the next process deletes what a dead one left.

Each folder has a lock that its process holds. The system gives the lock back when the process ends, however it ends, so a folder
whose lock can be taken is nobody's.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = "lock"

YOUNG_S: Final = 60.0
"""A folder younger than this is left alone: its process may not have locked it yet."""


@contextmanager
def scratch_folder(cache_dir: Path) -> Iterator[Path]:
    """Make a folder of this process under `cache_dir`, and let `tempfile` of the whole process use it. It is deleted at the end.

    Folders that killed processes left are deleted first.
    """
    root = cache_dir.expanduser() / "admissions"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(root)
    before, folder = tempfile.tempdir, Path(tempfile.mkdtemp(prefix="admission-", dir=root))
    lock = _locked(folder)
    try:
        tempfile.tempdir = str(folder)
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep(root: Path) -> int:
    """Delete the folders under `root` whose processes have ended. Returns how many."""
    count = 0
    for folder in root.glob("admission-*"):
        lock = None if _is_young(folder) else _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            count += 1
    return count


def _is_young(folder: Path) -> bool:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime < YOUNG_S
    return True


def _locked(folder: Path) -> int | None:
    """Take the lock of a folder. Returns its descriptor; None if a living process has it, or the folder is gone."""
    with suppress(OSError):
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
    return None
