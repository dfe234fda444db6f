"""The cache of converted models: a folder for each revision of the weights, version of CTranslate2 and compute type.

A folder appears by one rename, after everything in it was written and tried. So a conversion that was cut off is never used.
A manifest holds the size and hash of each file, so a folder that was damaged later is noticed, and made anew. A lock keeps
two workers of one machine from converting the same model at the same time; the second waits, and uses what the first one
made.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.errors import ModelUnavailable
from jobs.logs import logger
from workers.engines.translate.conversion import WEIGHT_BYTES, Unconvertible, convert

FORMAT: Final = 1
"""The version of our own part of the conversion. Raise it whenever a conversion changes, so that old ones are not used."""

MANIFEST: Final = "manifest.json"
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Converted:
    """Names a converted model.

    Args:
        alias: The model's alias.
        revision: The revision of its weights.
        version: The version of CTranslate2.
        compute_type: The compute type, by CTranslate2's name.
        weight_bits: How many bits the weights have in a compute type of 8 bits.
    """

    alias: str
    revision: str
    version: str
    compute_type: str
    weight_bits: int = 8

    def folder(self, cache_dir: Path) -> Path:
        """Return the folder of this conversion, which need not exist."""
        named = (FORMAT, self.revision, self.version, self.compute_type, self.weight_bits)
        key = hashlib.sha256("\0".join(map(str, named)).encode()).hexdigest()[:12]
        alias = re.sub(r"[^A-Za-z0-9._-]", "-", self.alias)
        return cache_dir.expanduser() / "models" / f"{alias}-{self.compute_type}-{key}"


def ensure(converted: Converted, cache_dir: Path, load: Callable[[], Any]) -> Path:
    """Return the folder of a conversion. It is made first if there is none, or if its files are not those that were written.

    Args:
        converted: Names the conversion.
        cache_dir: The folder of the cache.
        load: Returns the network, in float32 on the CPU. Called only if the conversion must be made.

    Raises:
        Unconvertible: CTranslate2 cannot run the model.
        ModelUnavailable: The weights cannot be loaded, or the disk is full or cannot be written.
    """
    ready = converted.folder(cache_dir)
    if _is_whole(ready):
        return ready
    try:
        ready.parent.mkdir(parents=True, exist_ok=True)
        with _locked(ready) as is_alone:
            if not _is_whole(ready):
                _remove_damaged(ready)
                if is_alone:
                    _remove_leftovers(ready)
                _make(converted, ready, load)
    except OSError as error:
        raise ModelUnavailable(_why_not_written(error, ready)) from error
    return ready


def _make(converted: Converted, ready: Path, load: Callable[[], Any]) -> None:
    """Convert the model into a folder of another name, and rename that."""
    began = time.monotonic()
    logger().info("model.converting", model=converted.alias, compute_type=converted.compute_type, into=str(ready))
    scratch = ready.with_name(f".{ready.name}.{uuid.uuid4().hex}")
    try:
        network = load()
        _check_room(network, converted.compute_type, ready.parent)
        scratch.mkdir()
        try:
            convert(network, scratch, converted.compute_type, converted.weight_bits)
        except Unconvertible as error:
            raise Unconvertible(f"model {converted.alias} cannot run on CTranslate2: {error}") from error
        (scratch / MANIFEST).write_text(json.dumps(_listed(scratch), indent=1, sort_keys=True))
        try:
            os.rename(scratch, ready)  # noqa: PTH104 - atomic
        except OSError:
            if not _is_whole(ready):  # without locks, another worker may have been faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = round(time.monotonic() - began, 1)
    logger().info("model.converted", model=converted.alias, compute_type=converted.compute_type, seconds=seconds)


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds exactly the files that its manifest lists."""
    try:
        wanted = json.loads((folder / MANIFEST).read_text())
        return isinstance(wanted, dict) and wanted == _listed(folder)
    except (OSError, ValueError):
        return False


def _listed(folder: Path) -> dict[str, list[Any]]:
    """Return the size and the hash of each file of a folder but the manifest."""
    listed: dict[str, list[Any]] = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                listed[path.name] = [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
    return listed


def _remove_damaged(ready: Path) -> None:
    """Remove a conversion whose files are not those that were written."""
    if ready.exists():
        damaged = ready.with_name(f".{ready.name}.{uuid.uuid4().hex}")
        os.rename(ready, damaged)  # noqa: PTH104 - gone at once, not file by file
        shutil.rmtree(damaged, ignore_errors=True)


def _remove_leftovers(ready: Path) -> None:
    """Remove what killed processes left behind. The caller holds the lock, so nobody writes there."""
    for path in ready.parent.glob(f".{ready.name}.*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _check_room(network: Any, compute_type: str, folder: Path) -> None:
    """Raise ModelUnavailable if the disk has clearly too little room for the converted model."""
    needed = sum(one.numel() for one in network.parameters()) * WEIGHT_BYTES[compute_type]
    free = shutil.disk_usage(folder).free
    if free < needed:
        need = f"needs {needed // _MIB:,} MiB, and {free // _MIB:,} MiB are free"
        raise ModelUnavailable(
            f"the disk of {folder} is too full: the converted model {need}; make room, or move cache_dir"
        )


def _why_not_written(error: OSError, ready: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {ready.parent} is full: make room for the converted model, or move cache_dir"
    return f"the converted model cannot be written into {ready}: {error.strerror or error}"


@contextlib.contextmanager
def _locked(ready: Path) -> Iterator[bool]:
    """Hold the lock of a conversion. It is free again when the process ends, however it ends.

    Yields False on a file system without locks. There two workers may both convert: each renames a whole folder, and one
    stays.
    """
    held = True
    with ready.with_name(f".{ready.name}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger().info("model.conversion_awaited", into=str(ready))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}:
                raise
            held = False
        yield held
