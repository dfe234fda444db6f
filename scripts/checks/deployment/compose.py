"""Checks the compose file: by its schema, by `docker compose` where it is installed, and by what each container must have."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from scripts.checks.deployment.files import Wrong, document, program, unpinned

COMPOSE: Final = ("docker", "compose")


def faults(path: Path) -> list[str]:
    """Return what is wrong with a compose file. Raises Missing without check-jsonschema."""
    try:
        services = document(path).get("services", {})
    except Wrong as error:
        return [str(error)]
    checker = program("check-jsonschema", "the package of this name of PyPI")
    schema = [checker, "--builtin-schema", "vendor.compose-spec", "--output-format", "text", str(path)]
    done = subprocess.run(schema, capture_output=True, text=True, check=False)
    found = [f"{path.name}: {done.stdout.strip()}"] if done.returncode else []
    if not found and _has_compose():
        command = [*COMPOSE, "--file", str(path), "--profile", "*", "config", "--quiet"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "COMPOSE_BAKE": "0"}
        )
        found = [f"{path.name}: {done.stderr.strip()}"] if done.returncode else []
    return found + [f"{path.name}: {name}: {fault}" for name, service in services.items() for fault in _faults(service)]


def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run([*COMPOSE, "version"], capture_output=True, check=False).returncode == 0


def _faults(service: dict[str, Any]) -> Iterator[str]:
    if service.get("init") is not True:
        yield "it has no init, so dead processes stay"
    if service.get("read_only") is not True:
        yield "its root can be written"
    if "no-new-privileges:true" not in service.get("security_opt", ()) or service.get("cap_drop") != ["ALL"]:
        yield "it may gain privileges"
    yield from (f"{name} has no limit" for name in ("mem_limit", "pids_limit") if name not in service)
    yield from (f"the image {image} has no tag of a release" for image in unpinned(service))
