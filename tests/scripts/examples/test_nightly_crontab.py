"""Runs every line of `scripts/examples/nightly.crontab` as cron would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import Client
from jobs.settings import Settings
from tests.support.command_line import MAIN, ROOT

CRONTAB = (ROOT / "scripts/examples/nightly.crontab").read_text()
LINES = re.findall(r"^((?:[0-9*]+ ){5}) *(.+)$", CRONTAB, flags=re.MULTILINE)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The crontab's variables, with folders of the test, and a PATH with a `nightpress` that runs this tree."""
    program = tmp_path / "bin" / "nightpress"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{MAIN}' \"$@\"\n")
    program.chmod(0o755)
    declared = dict(re.findall(r"^([A-Z_]+)=(.*)$", CRONTAB, flags=re.MULTILINE))
    assert declared.pop("SHELL") == "/bin/sh"
    own = {name: value.replace("/srv", str(tmp_path)) for name, value in declared.items()}
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **own}


def run(line: str, tmp_path: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line as cron does, which replaces an escaped % by a plain one."""
    assert not re.search(r"(?<!\\)%", line), "cron ends a command there"
    command = line.replace(r"\%", "%").replace("/srv", str(tmp_path))
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environment, text=True, capture_output=True, timeout=120, check=False
    )


def test_every_line_does_its_part_of_the_night(tmp_path: Path, environment: dict[str, str]) -> None:
    evening, morning, sunday = (command for _, command in LINES)
    press = tmp_path / "press"
    press.mkdir()
    (press / "tonight.jsonl").write_text('{"kind": "chat"}\n{"kind": "chat", "prompt": "Hi", "model": "stub"}\n')
    first, again = run(evening, tmp_path, environment), run(evening, tmp_path, environment)
    assert (first.returncode, first.stdout, again.returncode) == (0, "", 0)
    assert "exists already" in again.stderr
    batch_id = (press / "tonight.id").read_text().strip()
    client = Client(Settings(store_url=environment["NIGHTPRESS_STORE_URL"]))
    assert client.batches() == [batch_id]
    client.cancel(batch_id)
    client.publish(batch_id)
    assert run(morning, tmp_path, environment).returncode == 0
    assert (press / "morning.csv").read_text(encoding="utf-8-sig").startswith('"row","custom_id",')
    swept = run(sunday, tmp_path, environment)
    assert (swept.returncode, swept.stdout, swept.stderr) == (0, "", "0 batches deleted\n")
