"""What the doctor says of a worker's machine."""

import sys
from pathlib import Path

import pytest

from jobs.catalog import ModelCard
from jobs.operations.doctor import Check
from jobs.settings import Settings
from workers.commands import doctor


def found(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_machine_with_all_packages_is_checked_whole() -> None:
    checks = found(list(doctor.checks(Settings(model="stub"))))
    assert list(checks) == ["ray", "gpu", "model smollm2-135m", "model stub"]
    assert checks["model stub"] == Check("model stub", True, "needs no files")
    assert all(check.ok or check.remedy for check in checks.values())


def test_a_machine_that_only_submits_gets_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    (check,) = doctor.checks(Settings())
    assert (check.ok, check.needed) == (False, False)
    assert check.detail.startswith("ray not installed")
    assert "nightpress[workers]" in check.remedy


@pytest.mark.parametrize(
    ("card", "ok"),
    [
        pytest.param({"source": "here"}, True, id="a folder"),
        pytest.param({"source": "nowhere"}, False, id="a folder that is not there"),
        pytest.param({"source": "nobody/nothing"}, False, id="a hub id that was never fetched"),
        pytest.param({"package": "carrier", "gguf_file": "w.gguf"}, True, id="a package that carries the file"),
        pytest.param({"package": "carrier", "gguf_file": "x.gguf"}, False, id="a package that carries another"),
        pytest.param({"package": "no_such_package", "gguf_file": "w.gguf"}, False, id="a package that is not there"),
    ],
)
def test_the_files_of_a_model_are_looked_for(
    card: dict[str, str], ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "carrier" / "deep").mkdir(parents=True)
    (tmp_path / "carrier" / "deep" / "w.gguf").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = Settings(model="mine", models={"mine": ModelCard(**card)})
    check = found(list(doctor.checks(settings)))["model mine"]
    assert (check.ok, check.needed) == (ok, True)
    assert ok or "nightpress models pull mine" in check.remedy


def test_a_model_that_is_not_the_default_is_only_a_hint() -> None:
    settings = Settings(model="stub", models={"other": ModelCard(source="nobody/nothing")})
    assert not found(list(doctor.checks(settings)))["model other"].needed
