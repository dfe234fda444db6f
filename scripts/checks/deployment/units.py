"""Checks units of systemd by `systemd-analyze verify`, on copies in which each program is one that every machine has."""

import re
import subprocess
import tempfile
from pathlib import Path

from scripts.checks.deployment.files import program


def faults(paths: list[Path]) -> list[str]:
    """Return what is wrong with units. Raises Missing where systemd is not installed."""
    analyze = program("systemd-analyze", "systemd")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            text = re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", path.read_text(), flags=re.MULTILINE)
            (Path(folder) / path.name).write_text(text)
        for path in paths:
            command = [analyze, "verify", "--man=no", str(Path(folder) / path.name)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = [line.replace(f"{folder}/", "") for line in done.stderr.splitlines() if path.name in line]
            if said or done.returncode:
                found += said or [f"{path.name}: {done.stderr.strip()}"]
    return found
