"""Shows workers/engines/device/pinning.py: each worker gets a core, and only the calling thread is pinned to it."""

import os
import threading
from pathlib import Path

import pytest

from jobs.errors import ModelUnavailable
from workers.engines.device.pinning import Core

CORES = sorted(os.sched_getaffinity(0))


def test_each_worker_gets_another_core_until_all_are_taken(tmp_path: Path) -> None:
    taken = [Core(CORES, tmp_path) for _ in CORES]
    assert [core.number for core in taken] == CORES
    with pytest.raises(ModelUnavailable, match=r"taken the cores .* name one for each worker"):
        Core(CORES, tmp_path)
    taken[0].free()
    taken[0] = Core(CORES, tmp_path)
    assert taken[0].number == CORES[0]
    for core in taken:
        core.free()


def test_only_the_calling_thread_is_pinned(tmp_path: Path) -> None:
    core = Core(CORES[-1:], tmp_path)
    found: list[set[int]] = []
    before = os.sched_getaffinity(0)

    def step() -> None:
        core.pin()
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert found == [{CORES[-1]}]
    assert os.sched_getaffinity(0) == before
    core.free()


def test_a_core_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="names core 9999, and this machine has"):
        Core([0, 9999], tmp_path)
