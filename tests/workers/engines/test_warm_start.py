"""Shows workers/engines/warm_start.py: weights are fetched and copied once a node, with lines of the log meanwhile."""

import fcntl
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.workers.conftest import Hub
from workers.engines import warm_start
from workers.engines.warm_start import alone, copied, fetching_s, shown


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of weights as the hub's cache has it: links to files that lie elsewhere."""
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (blobs / name).write_text(name * 100)
        (folder / name).symlink_to(blobs / name)
    return folder


def test_weights_are_copied_whole_and_once(weights: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    with capture_logs() as logs:
        copy = copied("m/1", "r1", weights, local)
        assert copied("m/1", "r1", weights, local) == copy
    assert copy.is_relative_to(local)
    assert {path.name: path.read_text() for path in copy.iterdir()} == {
        path.name: path.read_text() for path in weights.iterdir()
    }
    assert not any(path.is_symlink() for path in copy.iterdir()), "the shared disk may be slow, or vanish"
    assert [(log["event"], log["bytes"]) for log in logs] == [("model.fetching", 0), ("model.fetched", 2800)]
    assert copied("m/1", "r2", weights, local) != copy, "another revision is another copy"


def test_workers_that_begin_together_copy_once(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, copies, copy_tree = tmp_path / "local", list[Path](), shutil.copytree

    def counted(alias: str, folder: Path, ready: Path) -> None:
        copies.append(ready)
        ready.parent.mkdir(parents=True, exist_ok=True)
        copy_tree(folder, ready)

    monkeypatch.setattr(warm_start, "_copy", counted)
    with ThreadPoolExecutor(10) as threads:
        found = set(threads.map(lambda _: copied("m", "r", weights, local), range(10)))
    assert len(found) == len(copies) == 1


def test_a_copy_that_was_cut_off_is_not_used_and_is_removed(weights: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    name = warm_start.folder_name("m", "r")
    half = local / "models" / f".{name}.dead"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_text("half")
    copy = copied("m", "r", weights, local)
    assert (copy / "model.safetensors").read_text() == "model.safetensors" * 100
    assert not half.exists()


@pytest.mark.parametrize("fault", ["full", "unwritable"])
def test_a_local_disk_that_takes_no_weights_is_said_and_they_are_read_where_they_are(
    fault: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    if fault == "full":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    else:
        local.write_text("a file, no folder")
    with capture_logs() as logs:
        assert copied("m", "r", weights, local) == weights
    assert [log["event"] for log in logs] == ["model.not_copied"]
    assert fetching_s() == 0.0


def test_one_worker_waits_for_another_and_says_so(tmp_path: Path) -> None:
    order, entered = list[str](), threading.Event()

    def second() -> None:
        with alone(tmp_path, "m", "k"):
            order.append("second")

    with alone(tmp_path, "m", "k"):
        thread = threading.Thread(target=second)
        with capture_logs() as logs:
            thread.start()
            while not logs:
                entered.wait(0.01)
            assert fetching_s() > 0.0
            order.append("first")
        assert [log["event"] for log in logs] == ["model.awaited"]
    thread.join(20)
    assert order == ["first", "second"]
    assert fetching_s() == 0.0


def test_a_file_system_without_locks_keeps_nobody_from_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path, "m", "k"):
        pass


def test_the_log_says_how_much_has_come_while_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "PROGRESS_S", 0.01)
    with capture_logs() as logs, shown("m", "a/b", tmp_path):
        for size in (10, 20):
            (tmp_path / "part").write_bytes(b"x" * size)
            while not any(log["bytes"] == size for log in logs):
                threading.Event().wait(0.01)
    assert logs[0] == {**logs[0], "event": "model.fetching", "model": "m", "source": "a/b", "bytes": 0}
    assert (logs[-1]["event"], logs[-1]["bytes"]) == ("model.fetched", 20)


# -- a hub ------------------------------------------------------------------------------------------------------------------

PULL = (
    "import sys; from pathlib import Path; from jobs.catalog import ModelCard; from workers.engines import warm_start\n"
    "from workers.engines.weights import pull\n"
    "warm_start.STALL_S = float(sys.argv[3])\n"
    "try: print(pull('m', ModelCard(source=sys.argv[2]), Path(sys.argv[1])))\n"
    "except Exception as error: print(type(error).__name__, error)"
)


@pytest.fixture
def hub_of() -> Iterator[Any]:
    """Starts a hub whose requests a function sees before they are answered, on a port of its own. Returns its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(before: Any) -> str:
        class Seen(Hub):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                before(self.command, self.path)
                super().do_GET()

            do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seen)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def pulling(url: str, folder: Path, source: str, stall_s: float = 300.0) -> subprocess.Popen[str]:
    timeouts = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    cache = {"HF_ENDPOINT": url, "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    return subprocess.Popen(
        [sys.executable, "-c", PULL, str(folder), source, str(stall_s)],
        env={**os.environ, **cache, **timeouts, "no_proxy": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_workers_of_a_node_that_begin_together_ask_the_hub_once(hub_of: Any, tmp_path: Path) -> None:
    """The hub holds back its answer until all workers wait: one at the hub, and the others at the lock of the first."""
    asked, together = Counter[str](), threading.Barrier(2)

    def before(command: str, path: str) -> None:
        asked[f"{command} {path.rpartition('/')[2]}"] += 1
        if asked.total() == 1:
            together.wait(60)

    url = hub_of(before)
    workers = [pulling(url, tmp_path, "someone/small") for _ in range(3)]
    lock = tmp_path / "locks" / f"{warm_start.folder_name('m', 'someone/small@None')}.lock"

    def waiting() -> int:
        ids = [path for worker in workers for path in Path(f"/proc/{worker.pid}/fd").glob("*")]
        return sum(path.exists() and path.resolve() == lock for path in ids)

    while waiting() < 3:
        assert all(worker.poll() is None for worker in workers)
        threading.Event().wait(0.05)
    together.wait(60)
    printed = {worker.communicate(timeout=60)[0].strip() for worker in workers}
    assert {Path(one).name for one in printed} == {"c" * 40}
    assert asked["GET model.safetensors"] == asked["GET config.json"] == 1


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        pytest.param("someone/small", "HubUnavailable", id="it never answers"),
        pytest.param("someone/absent", "ModelUnavailable", id="it refuses"),
    ],
)
def test_a_hub_that_is_silent_is_told_from_one_that_refuses(
    source: str, fault: str, hub_of: Any, tmp_path: Path
) -> None:
    over = threading.Event()

    def before(command: str, path: str) -> None:
        del command
        if "someone/small" in path:
            over.wait(120)

    worker = pulling(hub_of(before), tmp_path, source, 2.0 if source == "someone/small" else 300.0)
    printed = worker.communicate(timeout=120)[0]
    over.set()
    assert printed.startswith(f"{fault} no weights of model m can be had (")
    with alone(tmp_path, "m", f"{source}@None"):
        pass  # the lock is free again
