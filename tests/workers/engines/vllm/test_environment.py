"""Shows workers/engines/vllm/environment.py: which environment fits, and which models run in it."""

import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from workers.engines.vllm.environment import RECORD, Environment, folder_in, found, why_not
from workers.engines.vllm.version import MINOR

PYTHON = platform.python_version()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment that fits this process, whose vLLM knows one network."""
    made = Environment(folder_in(tmp_path), PYTHON, version("ray"), f"{MINOR}.1", frozenset({"LlamaForCausalLM"}))
    made.folder.mkdir(parents=True)
    return made


def test_an_environment_is_there_once_its_record_is(environment: Environment, tmp_path: Path) -> None:
    assert found(tmp_path) is None
    environment.write()
    assert found(tmp_path) == environment
    assert environment.why_unfit() is None
    assert environment.executable == tmp_path / "environments/vllm/bin/python"
    (environment.folder / RECORD).write_text('{"python": ')
    assert found(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"python": "3.1.4"}, f"its Python is 3.1.4, and that of this command is {PYTHON}", id="Python"),
        pytest.param({"python": f"{PYTHON.rpartition('.')[0]}.99"}, None, id="a patch release of Python"),
        pytest.param({"ray": "2.1.0"}, f"its Ray is 2.1.0, and that of this command is {version('ray')}", id="Ray"),
        pytest.param(
            {"vllm": "0.1.0"}, f"vLLM 0.1.0 is installed, and this release of Nightpress needs {MINOR}", id="vLLM"
        ),
    ],
)
def test_versions_must_agree(environment: Environment, change: dict[str, str], reason: str | None) -> None:
    assert replace(environment, **change).why_unfit() == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("card", "config", "reason"),
    [
        pytest.param({}, {"architectures": ["LlamaForCausalLM"]}, None, id="known"),
        pytest.param({}, {"architectures": ["OwnModel"]}, f"vLLM {MINOR}.1 does not know OwnModel", id="unknown"),
        pytest.param({}, {}, f"vLLM {MINOR}.1 does not know its architecture", id="nothing named"),
        pytest.param(
            {"options": {"graphs": False}},
            {"architectures": ["LlamaForCausalLM"]},
            "its options are those of the engine causal",
            id="options",
        ),
    ],
)
def test_vllm_runs_a_model_that_it_knows(
    environment: Environment, card: dict[str, Any], config: dict[str, Any], reason: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert why_not(ModelCard(**card), tmp_path, environment) == reason


def test_without_an_environment_that_fits_it_runs_no_model(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    missing = "there is no environment for vLLM here: nightpress models env vllm"
    assert why_not(ModelCard(), tmp_path, None) == missing
    reason = why_not(ModelCard(), tmp_path, replace(environment, ray="1.0"))
    assert reason is not None
    assert reason.startswith("the environment for vLLM does not fit: its Ray is 1.0")
