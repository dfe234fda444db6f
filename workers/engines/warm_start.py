"""A warm start: the weights of a model are fetched, converted and copied once a node, and are read from a local disk.

Ten workers of one node that need the same weights take turns at a lock: the first fetches them, the others wait and find them
there. The lock is a file, so it is free again when the process that held it ends, however it ends. While weights are fetched or
copied, the log says how far it is.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from jobs.errors import HubUnavailable, ModelUnavailable
from jobs.logs import logger

PROGRESS_S: Final = 10.0
"""Seconds between two lines of the log that say how far a download or a copy is."""
STALL_S: float = 120.0
"""A download of which no byte has come for this many seconds is given up, and begun again by another worker."""
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})
"""The errors of file systems that have no locks."""

T = TypeVar("T")

_since: dict[str, float] = {}


def fetching_s() -> float:
    """Return for how many seconds this process has been fetching, converting or copying weights, or has waited for another that
    does; 0 if it is not.
    """
    began = min(_since.values(), default=None)
    return 0.0 if began is None else time.monotonic() - began


@contextlib.contextmanager
def alone(cache_dir: Path, alias: str, key: str) -> Iterator[None]:
    """Hold the lock of one model's files on this node, in a folder of `cache_dir`. Others wait, and say so once in the log.

    On a file system without locks nobody waits. Raises ModelUnavailable if the lock cannot be made.
    """
    path = cache_dir.expanduser() / "locks" / f"{folder_name(alias, key)}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise ModelUnavailable(
            f"{path} cannot be written ({error.strerror}): set cache_dir to another folder"
        ) from error
    with file, _noted(key):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger().info("model.awaited", model=alias)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield


@contextlib.contextmanager
def shown(alias: str, source: str, folder: Path) -> Iterator[None]:
    """Say in the log how much of a model's weights has come into `folder`, at the beginning, every `PROGRESS_S`, at the end."""
    began, before, over = time.monotonic(), size_of(folder), threading.Event()

    def say(event: str) -> None:
        come = max(0, size_of(folder) - before)
        logger().info(event, model=alias, source=source, bytes=come, seconds=round(time.monotonic() - began, 1))

    def say_on() -> None:
        while not over.wait(PROGRESS_S):
            say("model.fetching")

    say("model.fetching")
    thread = threading.Thread(target=say_on, name="fetching", daemon=True)
    thread.start()
    try:
        yield
        say("model.fetched")
    finally:
        over.set()
        thread.join()


def unless_stalled(task: Callable[[], T], folder: Path) -> T:
    """Run a task that writes into `folder`, on a thread of its own, and return its result or raise its error.

    The hub's client waits for some answers without a limit. If the folder does not grow for `STALL_S` seconds, the thread is left
    behind, and HubUnavailable is raised.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(task())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            result.set_exception(error)

    threading.Thread(target=run, name="hub", daemon=True).start()
    size, grown_at = size_of(folder), time.monotonic()
    while True:
        with contextlib.suppress(TimeoutError):
            return result.result(min(1.0, STALL_S))
        if result.done():
            return result.result()
        if (now := size_of(folder)) != size:
            size, grown_at = now, time.monotonic()
        elif time.monotonic() - grown_at >= STALL_S:
            raise HubUnavailable(f"no byte has come for {STALL_S:.0f} s")


def copied(alias: str, revision: str, folder: Path, local_dir: Path) -> Path:
    """Return a copy of a model's folder on a local disk. It is made first, once a node, unless it is there.

    The copy appears by one rename, so a copy that was cut off is never used. If the disk has no room or cannot be written, the
    log says so, and `folder` itself is returned: the model loads, if more slowly.
    """
    ready = local_dir.expanduser() / "models" / folder_name(alias, revision)
    if ready.is_dir():
        return ready
    try:
        with alone(local_dir, alias, revision):
            if not ready.is_dir():
                _copy(alias, folder, ready)
    except (OSError, ModelUnavailable) as error:
        logger().warning("model.not_copied", model=alias, into=str(ready), error=str(error))
        return folder
    return ready


def folder_name(alias: str, key: str) -> str:
    """Return a file name for one revision of a model."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', alias)}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder, without those that links lead to. Files that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def _copy(alias: str, folder: Path, ready: Path, copy: Callable[..., object] = shutil.copytree) -> None:
    needed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    ready.parent.mkdir(parents=True, exist_ok=True)
    for leftover in ready.parent.glob(f".{ready.name}.*"):  # of a process that was killed: the caller holds the lock
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(ready.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"it needs {needed >> 20:,} MiB, and {free >> 20:,} MiB are free")
    scratch = ready.with_name(f".{ready.name}.{uuid.uuid4().hex}")
    try:
        with shown(alias, str(folder), scratch):
            copy(folder, scratch)
        os.rename(scratch, ready)  # noqa: PTH104 - atomic
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _noted(key: str) -> Iterator[None]:
    _since.setdefault(key, time.monotonic())
    try:
        yield
    finally:
        _since.pop(key, None)
