"""Shows deploy/nightpress-head: the fleet is started again when it ends, and ends before Ray does. `ray` is a stand-in."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "nightpress-head"
RAY = """#!/bin/sh
case "$1" in
  health-check) test -e "$FOLDER/up"; exit;;
  *) echo "ray $*" >> "$FOLDER/calls"; trap 'echo "ray ends" >> "$FOLDER/calls"; exit 0' TERM
     echo $$ > "$FOLDER/ray.pid"; touch "$FOLDER/up"; while :; do sleep 0.05; done;;
esac
"""
FLEET = """#!/bin/sh
echo "nightpress $*" >> "$FOLDER/calls"
trap 'sleep 0.2; echo "fleet ends" >> "$FOLDER/calls"; exit 0' TERM
test -e "$FOLDER/dies" && rm "$FOLDER/dies" && exit 3
echo $$ > "$FOLDER/fleet.pid"; while :; do sleep 0.05; done
"""


class Head:
    """The script, in a folder with stand-ins for `ray` and `nightpress`."""

    def __init__(self, folder: Path, *words: str, **variables: str) -> None:
        self.folder = folder
        for name, text in (("ray", RAY), ("nightpress", FLEET)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        env = {"PATH": path, "FOLDER": str(folder), "NIGHTPRESS_HEAD_PAUSE": "0.05", **variables}
        self.said = (folder / "said").open("w+")
        self.process = subprocess.Popen(["sh", str(SCRIPT), *words], env=env, stderr=self.said)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def lines(self) -> list[str]:
        return (self.folder / "said").read_text().splitlines()

    def pid(self, name: str) -> int:
        path = self.folder / f"{name}.pid"
        return int(path.read_text().strip() or 0) if path.exists() else 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Head]]:
    heads: list[Head] = []

    def started(*words: str, **variables: str) -> Head:
        heads.append(Head(tmp_path, *words, **variables))
        return heads[-1]

    yield started
    for head in heads:
        for pid in (head.pid("ray"), head.pid("fleet")):
            if pid and Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        head.process.kill()
        head.process.wait()
        head.said.close()


@pytest.mark.parametrize(
    ("words", "variables", "call"),
    [
        pytest.param([], {}, "ray start --head --disable-usage-stats --block", id="by itself"),
        pytest.param(["ray", "start", "--head", "--port=7"], {}, "ray start --head --port=7", id="with words"),
        pytest.param(
            [], {"KUBERAY_GEN_RAY_START_CMD": "ray start --head --resources='{\"a b\":1}'  --block"},
            'ray start --head --resources={"a b":1} --block', id="by KubeRay",
        ),
    ],
)  # fmt: skip
def test_the_fleet_ends_before_ray(
    start: Callable[..., Head], until: Callable[..., Any], words: list[str], variables: dict[str, str], call: str
) -> None:
    head = start(*words, **variables)
    until(lambda: head.pid("fleet"), 20, "the fleet")
    head.process.send_signal(signal.SIGTERM)
    assert head.process.wait(20) == 0
    assert head.calls == [call, "nightpress work", "fleet ends", "ray ends"]


def test_a_fleet_that_ends_is_started_again_and_ray_stays(
    start: Callable[..., Head], until: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "dies").touch()
    head = start()
    until(lambda: head.pid("fleet"), 20, "the second fleet")
    first = head.pid("fleet")
    os.kill(first, signal.SIGKILL)
    until(lambda: head.calls.count("nightpress work") == 3, 20, "the third fleet")
    assert head.calls[0].startswith("ray start")
    assert "ray ends" not in head.calls
    assert head.process.poll() is None


def test_a_head_of_ray_that_dies_ends_the_script_with_a_failure(
    start: Callable[..., Head], until: Callable[..., Any]
) -> None:
    head = start()
    until(lambda: head.pid("fleet"), 20, "the fleet")
    os.kill(head.pid("ray"), signal.SIGKILL)
    os.kill(head.pid("fleet"), signal.SIGTERM)  # a fleet ends when it has lost Ray
    assert head.process.wait(20) == 1
    assert head.lines[-1] == "nightpress-head: the head of Ray has ended"


def test_a_ray_that_does_not_start_is_said(start: Callable[..., Head]) -> None:
    head = start("false")
    assert head.process.wait(20) == 1
    assert head.lines == ["nightpress-head: Ray did not start"]
