"""The log of a worker that is a Ray actor: read from its files on this machine, or through Ray from another node.

The files lie in the folder of Ray's own logs. On another node, the worker itself reads its files while it lives. After its
death, a task on its node reads them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.errors import UnavailableError
from workers.logs.files import START, Chunk, delete_log, path_of, read_log


def logs_folder() -> Path:
    """Return the folder of Ray's logs on this node; all Ray processes of a node share it."""
    return Path(ray._private.worker._global_node.get_logs_dir_path())  # noqa: SLF001 - Ray has no other way to ask


def read_to_the_end(name: str, offsets: Sequence[int]) -> Chunk:
    """Read further lines of the log of a worker that has ended on this node. When no lines are left, delete the log."""
    chunk = read_log(logs_folder(), name, offsets, is_over=True)
    if not chunk.lines:
        delete_log(logs_folder(), name)
    return chunk


class RayLog:
    """Reads the log `name`. `ask` calls `NodeWorker.read_log`, and `is_lost` tells whether a call of Ray would hang."""

    def __init__(
        self, name: str, ask: Callable[..., Any], is_lost: Callable[[], bool], folder: Path | None = None
    ) -> None:
        self._name = name
        self._ask = ask
        self._is_lost = is_lost
        self._folder = folder or logs_folder()
        self._offsets = START
        self._asked: Any = None

    @property
    def is_near(self) -> bool:
        return path_of(self._folder, self._name, "events").exists()

    def read(self) -> Sequence[tuple[str, str]]:
        if self.is_near:
            return self._take(read_log(self._folder, self._name, self._offsets))
        if self._is_lost():
            return ()
        if self._asked is None:
            self._asked = self._ask(self._offsets)
        if not ray.wait([self._asked], timeout=0)[0]:
            return ()
        asked, self._asked = self._asked, None
        try:
            return self._take(ray.get(asked))
        except ray.exceptions.RayError:  # the worker has died; `read_rest` reads the rest of its log
            return ()

    def read_rest(self, timeout_s: float) -> Sequence[tuple[str, str]]:
        lines: list[tuple[str, str]] = []
        until = time.monotonic() + timeout_s
        while True:
            if self.is_near:
                chunk = read_log(self._folder, self._name, self._offsets, is_over=True)
            else:
                chunk = self._from_its_node(until)
            lines += self._take(chunk)
            if not chunk.lines:
                break
        delete_log(self._folder, self._name)
        return lines

    def _take(self, chunk: Chunk) -> Sequence[tuple[str, str]]:
        self._offsets = chunk.offsets
        return chunk.lines

    def _from_its_node(self, until: float) -> Chunk:
        for asked in self._ways():
            try:
                chunk: Chunk = ray.get(asked(), timeout=max(0.1, until - time.monotonic()))
            except (ray.exceptions.RayError, TimeoutError):  # the node of the log is gone, or the worker is dead
                continue
            if chunk.found:
                return chunk
        if self._offsets == START:  # the worker never began
            return Chunk((), START, found=False)
        raise UnavailableError("its node does not answer")

    def _ways(self) -> Iterator[Callable[[], Any]]:
        if self._is_lost():
            return
        yield partial(self._ask, self._offsets, is_over=True)
        task = ray.remote(num_cpus=0, max_retries=0)(read_to_the_end)
        for node in ray.nodes():
            if node["Alive"]:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                yield partial(task.options(scheduling_strategy=there).remote, self._name, self._offsets)
