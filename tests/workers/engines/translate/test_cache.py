"""Shows workers/engines/translate/cache.py: a model is converted once, and no half, damaged or foreign conversion is used."""

import errno
import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.translate import cache
from workers.engines.translate.cache import MANIFEST, Converted, ensure
from workers.engines.translate.conversion import convert
from workers.engines.translate.loading import load_exact

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("ctranslate2", reason="the extra `translate` is not installed")

CONVERTED = Converted("small", "revision-1", "4.8.5", "int8")


class Loads:
    """Loads the network of a folder, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __call__(self) -> Any:
        self.count += 1
        return load_exact("small", self.folder, ModelCard())


@pytest.fixture
def load(folder_of: Callable[[str], Path]) -> Loads:
    return Loads(folder_of("marian"))


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_model_is_converted_once(load: Loads, tmp_path: Path) -> None:
    first = ensure(CONVERTED, tmp_path, load)
    assert ensure(CONVERTED, tmp_path, load) == first
    assert load.count == 1
    assert listing(tmp_path / "models") == [first.name]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"revision": "revision-2"}, id="revision"),
        pytest.param({"version": "4.9.0"}, id="version"),
        pytest.param({"compute_type": "float32"}, id="compute type"),
        pytest.param({"weight_bits": 7}, id="bits of weights"),
    ],
)
def test_another_conversion_has_another_folder(changed: dict[str, Any], tmp_path: Path) -> None:
    assert replace(CONVERTED, **changed).folder(tmp_path) != CONVERTED.folder(tmp_path)
    assert CONVERTED.folder(tmp_path) == replace(CONVERTED).folder(tmp_path)


def cut(folder: Path) -> None:
    path = folder / "model.bin"
    path.write_bytes(path.read_bytes()[:-100])


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.bin").write_bytes(content)


def lose(folder: Path) -> None:
    (folder / "config.json").unlink()


def add(folder: Path) -> None:
    (folder / "vmap.txt").write_text("another file that CTranslate2 would read")


def unlist(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def garble(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"model.bin": [')


@pytest.mark.parametrize("damage", [cut, flip, lose, add, unlist, garble], ids=lambda one: one.__name__)
def test_a_damaged_conversion_is_made_anew(damage: Callable[[Path], None], load: Loads, tmp_path: Path) -> None:
    ready = ensure(CONVERTED, tmp_path, load)
    whole = {path.name: path.read_bytes() for path in ready.iterdir()}
    damage(ready)
    assert ensure(CONVERTED, tmp_path, load) == ready
    assert load.count == 2
    assert {path.name: path.read_bytes() for path in ready.iterdir()} == whole
    assert listing(tmp_path / "models") == [ready.name]


def test_what_a_killed_process_left_is_removed(load: Loads, tmp_path: Path) -> None:
    ready = CONVERTED.folder(tmp_path)
    half = ready.with_name(f".{ready.name}.0123")
    half.mkdir(parents=True)
    (half / "model.bin").write_bytes(b"half")
    other = ready.with_name(".other-model.0123")
    other.mkdir()
    ensure(CONVERTED, tmp_path, load)
    assert listing(tmp_path / "models") == [other.name, ready.name]


@pytest.mark.parametrize("failing", ["load", "convert", "rename"])
def test_a_conversion_that_fails_leaves_nothing(
    failing: str, load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        if failing == "convert":
            patched.setattr(cache, "convert", fail)
        if failing == "rename":
            patched.setattr("os.rename", fail)
        with pytest.raises(ModelUnavailable, match=r"cannot be written into .*: Input/output error"):
            ensure(CONVERTED, tmp_path, fail if failing == "load" else load)
    assert listing(tmp_path / "models") == []
    assert ensure(CONVERTED, tmp_path, load).is_dir()


def test_a_full_disk_is_named(load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_: object, folder: Path, *__: object) -> None:
        (folder / "model.bin").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "convert", fill)
    with pytest.raises(ModelUnavailable, match=r"the disk of .* is full: make room"):
        ensure(CONVERTED, tmp_path, load)
    assert listing(tmp_path / "models") == []


def test_a_disk_with_too_little_room_is_named_before(
    load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(ModelUnavailable, match="needs 0 MiB, and 0 MiB are free"):
        ensure(CONVERTED, tmp_path, load)


def test_a_cache_that_cannot_be_made_is_named(load: Loads, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelUnavailable, match="cannot be written into"):
        ensure(CONVERTED, tmp_path, load)


def convert_in_process(folder: Path, cache_dir: Path, together: Any, results: Any) -> None:
    import torch

    torch.set_num_threads(1)
    load = Loads(folder)
    together.wait()
    ensure(CONVERTED, cache_dir, load)
    results.put(load.count)


def test_two_workers_convert_once(load: Loads, tmp_path: Path) -> None:
    """Two processes need the same conversion at the same time. One makes it, the other waits and uses it."""
    spawn = multiprocessing.get_context("spawn")
    together, results = spawn.Barrier(2), spawn.Queue()
    workers = [
        spawn.Process(target=convert_in_process, args=(load.folder, tmp_path, together, results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    counts = sorted(results.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join()
    assert counts == [0, 1]
    assert json.loads((CONVERTED.folder(tmp_path) / MANIFEST).read_text())


def test_without_locks_the_faster_worker_decides(load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks, another worker's conversion appears while this one is made."""

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    make = convert

    def slow(network: Any, folder: Path, *more: Any) -> None:
        monkeypatch.setattr(cache, "convert", make)
        ensure(CONVERTED, tmp_path, load)
        make(network, folder, *more)

    monkeypatch.setattr(cache, "convert", slow)
    ready = ensure(CONVERTED, tmp_path, load)
    assert listing(tmp_path / "models") == [ready.name]
    assert load.count == 2
