"""Shows deploy/ray: what is copied to the nodes of `ray up`, and that its commands make a node of a machine."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings import Settings

RAY = Path(__file__).parents[2] / "deploy" / "ray"
CLUSTERS = sorted(RAY.glob("*.yaml"))
LAUNCHES = {"aws": "boto3", "gcp": "google-api-python-client", "azure": "azure-common"}
"""What the head needs to start machines of a cloud, which no extra of ours brings."""
WHEEL = "nightpress-0.2.0-py3-none-any.whl"


def cluster(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


class Machine:
    """A machine whose programs are stand-ins that note their calls; only the shell and its files are real."""

    def __init__(self, folder: Path, *, device: bool = False) -> None:
        self.home, self._folder = folder / "home", folder
        self.home.mkdir()
        (self.home / ".bashrc").touch()
        programs = ["systemctl", "loginctl", "ray", "sudo", *(["nvidia-smi"] if device else [])]
        for name in programs:
            self._program(folder / "bin" / name, "")
        # makes an environment, and says that it can; `pip wheel` makes a wheel in the folder that it is given
        made = f'case "$*" in *wheel*) touch "$7/{WHEEL}";; *venv*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python";; esac'
        self._program(folder / "bin" / "python3", made)
        self._program(self.home / "venv/bin/pip", "")

    def _program(self, path: Path, more: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> {self._folder}/calls\n{more}\n')
        path.chmod(0o755)

    def run(self, command: str, *, folder: Path | None = None) -> str:
        """Run a command in a shell of its own, as Ray does. Returns what it printed."""
        words = ["bash", "-c", f"source ~/.bashrc; {command}"]
        env = {"HOME": str(self.home), "USER": "me", "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(
            words, env=env, cwd=folder or self.home, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_pack_makes_what_the_nodes_need_and_keeps_what_was_set(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    said = machine.run(str(RAY / "pack.sh"), folder=tmp_path)  # from any folder
    packed = machine.home / ".nightpress/cluster"
    assert said == f"put your own Redis and storage into {packed}/settings.env\n"
    names = ["constraints.txt", WHEEL, "nightpress-fleet.service", "settings.env"]
    assert sorted(path.name for path in packed.iterdir()) == sorted(names)
    token = machine.home / ".ray/auth_token"
    assert len(token.read_text()) == 64
    assert [mode(path) for path in (packed, packed / "settings.env", token)] == [0o700, 0o600, 0o600]

    before = token.read_text()
    (packed / "settings.env").write_text("NIGHTPRESS_STORE_URL=s3://mine/x\n")
    (packed / "settings.env").chmod(0o644)
    assert machine.run(str(RAY / "pack.sh")) == ""
    assert ((packed / "settings.env").read_text(), token.read_text()) == ("NIGHTPRESS_STORE_URL=s3://mine/x\n", before)
    assert mode(packed / "settings.env") == 0o600


def test_the_settings_that_pack_writes_are_settings(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(str(RAY / "pack.sh"))
    lines = (machine.home / ".nightpress/cluster/settings.env").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines if not line.startswith("#")]
    ours = [name.removeprefix("NIGHTPRESS_").lower() for name in names if name != "RAY_AUTH_MODE"]
    assert {"redis_url", "store_url"} <= set(ours) <= Settings.model_fields.keys()


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
@pytest.mark.parametrize("device", [False, True], ids=["CPU", "GPU"])
@pytest.mark.parametrize("times", [pytest.param(1, id="a new node"), pytest.param(2, id="a node that is set up again")])
def test_the_commands_make_a_node(tmp_path: Path, path: Path, device: bool, times: int) -> None:
    machine, config = Machine(tmp_path, device=device), cluster(path)
    machine.run(str(RAY / "pack.sh"))
    for target, source in config["file_mounts"].items():  # as Ray copies them
        machine.run(f"mkdir -p $(dirname {target}); test {source} -ef {target} || cp -r {source} {target}")
    (machine.home / ".ray/auth_token").chmod(0o644)
    (machine.home / "nightpress/settings.env").chmod(0o644)
    (tmp_path / "calls").unlink()

    for command in [
        *config["setup_commands"],
        *config["head_setup_commands"],
        *config["head_start_ray_commands"],
    ] * times:
        machine.run(command)

    installed = [call for call in machine.calls if call.startswith("pip install -c")]
    extra = {"aws": "s3", "local": "s3", "gcp": "gcs", "azure": "azure"}[path.stem]
    wheel = f"{machine.home}/nightpress/{WHEEL}[workers,{extra}]"
    pip = f"pip install -c {machine.home}/nightpress/constraints.txt"
    assert [call for call in installed if WHEEL in call] == [f"{pip} {wheel}"] * times
    assert all(call.startswith(f"{pip} {LAUNCHES.get(path.stem, wheel)}") for call in installed if WHEEL not in call)
    assert len(installed) == times * (2 if path.stem in LAUNCHES else 1)
    build = "cu130" if device else "cpu"
    assert f"pip install torch==2.13.0+{build} --index-url https://download.pytorch.org/whl/{build}" in machine.calls
    assert sum(call.startswith("python3 -m venv") for call in machine.calls) == 1
    shown = machine.run("echo $NIGHTPRESS_RAY_ADDRESS; echo $RAY_AUTH_MODE; command -v pip")
    assert shown.splitlines() == ["auto", "token", f"{machine.home}/venv/bin/pip"]
    secret = [machine.home / ".ray/auth_token", machine.home / "nightpress/settings.env"]
    assert [mode(one) for one in secret] == [0o600, 0o600]
    assert (machine.home / ".bashrc").read_text().count("settings.env") == 1
    assert (machine.home / ".config/systemd/user/nightpress-fleet.service").exists()
    # the fleet ends before Ray, and starts after it
    order = [call for call in machine.calls if call.split()[0] in ("systemctl", "ray")][-6:]
    assert [call.split(" --")[0] for call in order] == ["systemctl", "ray stop", "ray start", *["systemctl"] * 3]
    assert order[0].endswith("stop nightpress-fleet")
    assert order[-1].endswith("restart nightpress-fleet")


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_every_node_asks_for_a_token_and_no_secret_stands_in_the_file(path: Path) -> None:
    for name in ("head", "worker"):
        (start,) = [line for line in cluster(path)[f"{name}_start_ray_commands"] if "ray start" in line]
        assert start.startswith("RAY_AUTH_MODE=token ")
    assert cluster(path)["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "PASSWORD" not in path.read_text()


@pytest.mark.parametrize("path", [path for path in CLUSTERS if path.stem != "local"], ids=lambda path: path.name)
def test_a_cloud_has_a_head_without_work_and_workers_down_to_none(path: Path) -> None:
    config = cluster(path)
    types = config["available_node_types"]
    assert types.keys() == {"head", "gpu", "gpu_spot"}
    assert types["head"]["resources"] == {"CPU": 0}
    assert [types[name]["min_workers"] for name in ("gpu", "gpu_spot")] == [0, 0]
    assert sum(types[name]["max_workers"] for name in ("gpu", "gpu_spot")) == config["max_workers"]
    assert "pot" in str(types["gpu_spot"]["node_config"]).replace("SPOT", "Spot")
    assert "Spot" not in str(types["gpu"]["node_config"])
