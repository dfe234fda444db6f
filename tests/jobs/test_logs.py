"""Shows jobs/logs.py: where events go, before and after the logs are configured."""

import logging
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import structlog

from jobs import logs

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    structlog.reset_defaults()
    monkeypatch.setattr(logs._unconfigured, "form_of_warnings", None)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_program_that_configures_nothing_prints_nothing(
    level: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logs.LIBRARY)
    getattr(logs.logger(), level)("batch.accepted", batch="night-1", rows=3)
    assert capfd.readouterr() == ("", "")
    assert caplog.record_tuples == [
        (logs.LIBRARY, logging.getLevelNamesMapping()[level.upper()], "batch.accepted batch='night-1' rows=3")
    ]


@pytest.mark.parametrize("level", ["warning", "error"])
def test_warnings_go_to_standard_error(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.show_warnings("json")
    logs.logger().info("batch.accepted", batch="night-1")
    assert capsys.readouterr() == ("", "")
    getattr(logs.logger(), level)("batch.unhinted", batch="night-1")
    logs.logger().info("batch.accepted", batch="night-1")
    (line,) = capsys.readouterr().err.splitlines()
    logged = orjson.loads(line)
    assert (logged["event"], logged["level"], logged["batch"]) == ("batch.unhinted", level, "night-1")


def test_a_process_that_has_configured_its_logs_keeps_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logs.show_warnings("json")
    logs.logger().info("batch.accepted", batch="night-1")
    assert '"batch.accepted"' in capsys.readouterr().err


def test_structlog_is_imported_only_when_something_is_logged() -> None:
    code = "import sys; from jobs import logs; logs.show_warnings(); logs.logger().info('x'); print('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
