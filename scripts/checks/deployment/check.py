"""Checks every file of deploy/ that a program other than ours reads, and prints what is wrong.

    python -m scripts.checks.deployment.check

Exits with status 1 if something is wrong. A check whose program is not installed says so, and the others go on.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from scripts.checks.deployment import clusters, compose, kubernetes, units
from scripts.checks.deployment.files import DEPLOY, Missing


def unit_files(deploy: Path) -> list[Path]:
    """Return the units of systemd in a folder like deploy/."""
    return sorted(path for kind in ("service", "timer") for path in deploy.rglob(f"*.{kind}"))


def main(deploy: Path = DEPLOY) -> int:
    """Run all checks. Returns the exit status."""
    checks: dict[str, Callable[[], list[str]]] = {
        "Kubernetes": lambda: kubernetes.faults(deploy / "kubernetes"),
        "ray up": lambda: clusters.faults(deploy / "ray"),
        "systemd": lambda: units.faults(unit_files(deploy)),
        "compose": lambda: compose.faults(deploy / "compose.yaml"),
    }
    wrong = 0
    for name, check in checks.items():
        try:
            found = check()
        except Missing as error:
            print(f"{name}: not checked: {error}")
            continue
        wrong += len(found)
        print("\n".join(f"{name}: {fault}" for fault in found) or f"{name}: right")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
