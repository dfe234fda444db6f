"""Shows jobs/settings.py: where settings come from, and what is said of a wrong one."""

from pathlib import Path

import pytest

from jobs.errors import RequestError
from jobs.settings import Settings, found_toml, load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder below one that may hold a file of settings."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return tmp_path


def test_the_environment_comes_before_the_nearest_file_above(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nightpress.toml").write_text('tenant = "file"\nlease_s = 9\n[prices]\nversion = "v2"\n')
    monkeypatch.setenv("NIGHTPRESS_TENANT", "environment")
    monkeypatch.setenv("NIGHTPRESS_PRICES__CURRENCY", "EUR")
    settings = load()
    assert (settings.tenant, settings.lease_s) == ("environment", 9.0)
    assert (settings.prices.version, settings.prices.currency) == ("v2", "EUR")
    assert found_toml(Path.cwd()) == folder / "nightpress.toml"


def test_local_folders_are_absolute_wherever_a_worker_runs(folder: Path) -> None:
    settings = load()
    assert settings.store_url == str(folder / "a/b/.nightpress/store")
    assert settings.cache_dir.is_absolute()
    assert Settings(store_url="s3://bucket/x").store_url == "s3://bucket/x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("colour = 1\n", "colour", id="unknown"),
        pytest.param("lease_s = 0\n", "lease_s", id="out of range"),
        pytest.param('[models.a]\nsourc = "x"\n', "models.a.sourc", id="unknown field of a model"),
        pytest.param('[models."a/b"]\nsource = "x"\n', "models.a/b", id="an alias that is no name"),
        pytest.param("[models\n", "nightpress.toml cannot be read", id="not TOML"),
    ],
)
def test_a_wrong_setting_is_named(folder: Path, text: str, said: str) -> None:
    (folder / "nightpress.toml").write_text(text)
    with pytest.raises(RequestError, match=said.replace("/", ".")) as raised:
        load()
    assert "nightpress.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(Settings(redis_url="redis://:hidden@localhost/0"))


def test_models_of_the_user_stand_beside_and_over_the_shipped_ones() -> None:
    settings = Settings(models={"stub": {"engine": "stub", "slots": 3}, "own": {"source": "a/b", "revision": "v/1"}})
    assert settings.catalog["stub"].slots == 3
    assert "smollm2-135m" in settings.catalog
    assert settings.lane_of("own") == "own@v-1"
