"""Shows jobs/commands/settings.py."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings
from tests.support.command_line import Ran


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NIGHTPRESS_{name.upper()}", raising=False)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["settings", *args], Session()) == 0
    return capsys.readouterr().out


def test_each_setting_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "nightpress.toml"
    toml.write_text('lease_s = 30\ntenant = "shop"\n[prices]\nversion = "2026-11"\ndevice_hour = {}\nmodels = {}\n')
    monkeypatch.setenv("NIGHTPRESS_TENANT", "press")
    monkeypatch.setenv("NIGHTPRESS_PRICES__CURRENCY", "EUR")
    found = {one["setting"]: one for one in map(orjson.loads, shown(capsys, "--json").splitlines())}
    assert list(found) == list(Settings.model_fields)
    assert (found["lease_s"]["value"], found["lease_s"]["source"]) == (30.0, str(toml))
    assert (found["tenant"]["value"], found["tenant"]["source"]) == ("press", f"environment and {toml}")
    assert found["prices"]["source"] == f"environment and {toml}"
    assert (found["prices"]["value"]["version"], found["prices"]["value"]["currency"]) == ("2026-11", "EUR")
    assert (found["model"]["value"], found["model"]["source"]) == ("smollm2-135m", "default")


def test_only_changed_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--changed"], Session()) == 0
    assert capsys.readouterr() == ("", "every setting has its default value\n")
    monkeypatch.setenv("NIGHTPRESS_MODEL", "stub")
    assert shown(capsys, "--changed") == "model = stub  (environment)\n"


@pytest.mark.parametrize(
    ("name", "value", "shown_value"),
    [
        pytest.param(
            "REDIS_URL", "redis://ann:s3cret@queue:6379/1", "redis://ann:***@queue:6379/1", id="user and password"
        ),
        pytest.param("REDIS_URL", "redis://:s3cret@queue:6379", "redis://:***@queue:6379", id="password"),
        pytest.param("REDIS_URL", "redis://queue?password=s3cret", "redis://queue?***", id="query"),
        pytest.param("REDIS_URL", "s3cret@queue", "***", id="no URL"),
        pytest.param("STORE_URL", "sftp://ann:s3cret@host/a", "sftp://ann:***@host/a", id="a store's password"),
        pytest.param(
            "STORE_OPTIONS", '{"secret": "s3cret", "anon": "no"}', '{"secret":"***","anon":"no"}', id="options"
        ),
    ],
)
def test_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, shown_value: str
) -> None:
    monkeypatch.setenv(f"NIGHTPRESS_{name}", value)
    out = shown(capsys, "--changed")
    assert out == f"{name.lower()} = {shown_value}  (environment)\n"
    assert "s3cret" not in shown(capsys, "--json")


def test_prices_are_shown_as_money_with_their_currency(nightpress: Callable[..., Ran]) -> None:
    shown = next(line for line in nightpress("settings").out.splitlines() if line.startswith("prices = "))
    assert "an hour of a device: cpu 0.050000 USD, " in shown
    assert "a million tokens: smollm2-135m 0.010000 USD prompt, 0.002500 USD cached, 0.040000 USD completion" in shown
    listed = {row["setting"]: row["value"] for row in nightpress("settings", "--json").rows()}
    assert listed["prices"]["models"]["stub"]["completion"] == 40_000_000
    assert "0.010000 USD prompt, 0.002500 USD cached, 0.040000 USD completion" in nightpress("models", "list").out
